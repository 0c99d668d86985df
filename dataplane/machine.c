#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

/* cgroups v2; "max", or no such file, is no limit. */
static uint64_t cgroup_limit(void)
{
    unsigned long long limit;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (!file)
        return UINT64_MAX;
    if (fscanf(file, "%llu", &limit) != 1)
        limit = UINT64_MAX;
    fclose(file);
    return limit;
}

uint64_t machine_memory(void)
{
    struct sysinfo info;
    uint64_t limit = cgroup_limit();
    if (sysinfo(&info) < 0)
        return limit == UINT64_MAX ? 1ull << 30 : limit;
    uint64_t memory = (uint64_t)info.totalram * info.mem_unit;
    return memory < limit ? memory : limit;
}

unsigned machine_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

bool machine_may_use(unsigned core)
{
    cpu_set_t set;
    return core < CPU_SETSIZE && sched_getaffinity(0, sizeof set, &set) == 0 && CPU_ISSET(core, &set);
}

uint64_t machine_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    return limit.rlim_cur;
}
