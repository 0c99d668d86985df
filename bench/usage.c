#include "usage.h"
#include "clock.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t ticks_to_ns(uint64_t ticks)
{
    return ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* utime + stime of a stat file, fields 14 and 15 of proc(5); they are counted behind the name, which may hold
 * spaces. */
static bool stat_cpu(const char *path, uint64_t *ns)
{
    char text[1024];
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *p = strrchr(text, ')');
    unsigned long long user, system;
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return false;
    *ns = ticks_to_ns(user + system);
    return true;
}

static uint64_t busiest_thread(uint64_t pid)
{
    char path[300];
    uint64_t most = 0, ns;
    snprintf(path, sizeof path, "/proc/%llu/task", (unsigned long long)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%llu/task/%.20s/stat", (unsigned long long)pid, e->d_name);
        if (e->d_name[0] != '.' && stat_cpu(path, &ns) && ns > most)
            most = ns;
    }
    if (d)
        closedir(d);
    return most;
}

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal. */
static void read_machine(struct usage *u)
{
    unsigned long long t[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return;
    if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6,
               t + 7) == 8) {
        for (int i = 0; i < 8; i++)
            u->machine_ns += ticks_to_ns(t[i]);
        u->idle_ns = ticks_to_ns(t[3] + t[4]);
    }
    fclose(f);
}

static uint64_t timeval_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_usec * NS_PER_US;
}

void usage_read(struct usage *u, uint64_t pid)
{
    char path[64];
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *u =
        (struct usage){.wall_ns = now_ns(), .client_cpu_ns = timeval_ns(r.ru_utime) + timeval_ns(r.ru_stime)};
    read_machine(u);
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    u->broker_known = pid && stat_cpu(path, &u->broker_cpu_ns);
    if (u->broker_known)
        u->broker_busiest_ns = busiest_thread(pid);
}

bool memory_read(struct memory *m, uint64_t pid)
{
    char line[256];
    unsigned long long kib;
    snprintf(line, sizeof line, "/proc/%llu/status", (unsigned long long)pid);
    FILE *f = fopen(line, "re");
    *m = (struct memory){0};
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmRSS: %llu", &kib) == 1)
            m->rss_kib = kib;
        else if (sscanf(line, "VmHWM: %llu", &kib) == 1)
            m->rss_peak_kib = kib;
    }
    if (f)
        fclose(f);
    return m->rss_kib > 0;
}

unsigned usage_cpus(uint64_t pid)
{
    cpu_set_t set;
    return sched_getaffinity((pid_t)pid, sizeof set, &set) ? 0 : (unsigned)CPU_COUNT(&set);
}
