/*
 * DPDK's environment. It prints to stdout and stderr and ties the calling thread to a core: here its words go
 * to our log, what is wrong with its arguments into one sentence, and the thread stays free.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_pdump.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "tcp/device_dpdk.h"
#include "tcp/eal_arguments.h"

enum { TEXT_BYTES = 300 };

/* The first of DPDK's own errors, for the sentence about a start that failed. */
static char first_error[TEXT_BYTES];
/* Lcores for our threads, of which so many are not taken yet. */
static unsigned lcores_free;

/* ---- what it says ---------------------------------------------------------------------------------- */

/* DPDK's levels: 4 and below are errors and worse, 5 warnings; the rest is chatter. What is fatal is said by
 * us. */
static ssize_t to_log(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    int level = rte_log_cur_msg_loglevel();
    size_t len = size;
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (len == 0)
        return (ssize_t)size;
    if (level > 0 && (uint32_t)level <= RTE_LOG_ERR && !*first_error)
        snprintf(first_error, sizeof first_error, "%.*s", (int)len, text);
    /* Its telemetry warns that there is no socket for programs of 2019. */
    bool chatter = strncmp(text, "TELEMETRY: No legacy", 20) == 0;
    bool warns = level > 0 && (uint32_t)level <= RTE_LOG_WARNING && !chatter;
    log_line(warns ? LOG_WARNING : LOG_DEBUG, "dpdk", "%.*s", (int)len, text);
    return (ssize_t)size;
}

static void log_to_us(void)
{
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = to_log});
    CHECK(stream);
    setvbuf(stream, NULL, _IOLBF, 1024);
    rte_openlog_stream(stream);
}

/* ---- its arguments --------------------------------------------------------------------------------- */

/*
 * Caches of buffers belong to DPDK's lcores. Registering a thread of ours as one (rte_thread_register) shuts
 * other processes out, dpdk-dumpcap among them. So DPDK is asked for lcores that we need, from the highest
 * number down, where other processes have none; its own threads for them never wake, and ours take their
 * numbers. All on the first core that we may use: where ours run is not DPDK's business.
 */
static void lcores_text(char *text, size_t size, unsigned threads)
{
    cpu_set_t set;
    unsigned core = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        while (core < CPU_SETSIZE - 1 && !CPU_ISSET(core, &set))
            core++;
    size_t at = (size_t)snprintf(text, size, "0@%u", core);
    for (unsigned i = 0; i < threads && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, ",%u@%u", RTE_MAX_LCORE - 1 - i, core);
}

static void add_defaults(struct eal_arguments *a, const char *prefix, unsigned threads)
{
    static const char *const core_options[] = {"-l", "-c", "--lcores"};
    char lcores[1024];
    bool theirs = false, good = true;
    for (unsigned i = 0; i < sizeof core_options / sizeof *core_options; i++)
        theirs |= eal_arguments_have(a, core_options[i]);
    if (!eal_arguments_have(a, "--file-prefix"))
        good = eal_arguments_add(a, "--file-prefix") && eal_arguments_add(a, prefix);
    lcores_text(lcores, sizeof lcores, threads);
    if (!theirs && good)
        lcores_free = eal_arguments_add(a, "--lcores") && eal_arguments_add(a, lcores) ? threads : 0;
    /* Too long a line is found out by DPDK, which then lacks a value, or works without these. */
}

/* The driver a PCI device is bound to, if it is the kernel's own; false: it is for DPDK, or unknown. */
static bool bound_to_kernel(const char *device, char *driver, size_t size)
{
    static const char *const ours[] = {"vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core"};
    char path[128], target[256];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s%.*s/driver", strlen(device) < 12 ? "0000:" : "",
             (int)strcspn(device, ","), device);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    const char *name = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
    for (unsigned i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return false;
    snprintf(driver, size, "%s", name);
    return true;
}

static bool devices_are_ours(const struct eal_arguments *a, char *error, size_t error_size)
{
    static const char *const options[] = {"-a", "--allow"};
    char driver[256];
    const char *device;
    for (unsigned o = 0; o < sizeof options / sizeof *options; o++)
        for (unsigned n = 0; (device = eal_arguments_value(a, options[o], n)); n++)
            if (bound_to_kernel(device, driver, sizeof driver)) {
                snprintf(error, error_size,
                         "dpdk.eal: %s is still bound to the kernel's driver %s: "
                         "dpdk-devbind.py --bind=vfio-pci %s",
                         device, driver, device);
                return false;
            }
    return true;
}

/* ---- the start ------------------------------------------------------------------------------------- */

static bool contains(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

/* note: what was printed past the log, getopt's complaint first. */
static void explain(const char *arguments, char *note, char *error, size_t error_size)
{
    static const char *const memory[] = {"hugepage", "hugetlb", "init memory", "enough memory", NULL};
    note[strcspn(note, "\n")] = '\0';
    const char *said = strstr(note, ": ") ? strstr(note, ": ") + 2 : note;
    if (strstr(note, "option"))
        snprintf(error, error_size, "dpdk.eal: DPDK does not know these arguments: %s", said);
    else if (contains(first_error, memory))
        snprintf(
            error, error_size,
            "dpdk.eal: DPDK gets no memory (%s): reserve huge pages (echo 512 > /proc/sys/vm/nr_hugepages, "
            "or dpdk-hugepages.py --setup 1G), or add --no-huge to try it without",
            first_error);
    else
        snprintf(error, error_size, "dpdk.eal: DPDK does not start with '%s': %s", arguments,
                 *first_error ? first_error : rte_strerror(rte_errno));
}

/* rte_eal_init with stdout and stderr caught. Returns as it does. */
static int init(const struct eal_arguments *a, char **note)
{
    char *words[EAL_ARGUMENTS_MAX + 1];
    size_t size;
    FILE *out = stdout, *err = stderr, *caught = open_memstream(note, &size);
    CHECK(caught);
    memcpy(words, a->word, sizeof words); /* it moves them about */
    stdout = stderr = caught;
    int taken = rte_eal_init(a->count, words);
    stdout = out;
    stderr = err;
    fclose(caught);
    return taken;
}

static bool start(const struct eal_arguments *a, const char *arguments, char *error, size_t error_size)
{
    char *note = NULL;
    cpu_set_t before;
    bool known = sched_getaffinity(0, sizeof before, &before) == 0;
    int taken = init(a, &note);
    if (known)
        sched_setaffinity(0, sizeof before, &before);
    if (taken < 0)
        explain(arguments, note, error, error_size);
    free(note);
    return taken >= 0;
}

bool dpdk_start(const char *arguments, const char *prefix, unsigned threads, char *error, size_t error_size)
{
    static struct eal_arguments a; /* DPDK keeps pointers into it */
    char why[TEXT_BYTES];
    if (!eal_arguments_parse(&a, "gannetd", arguments, why, sizeof why)) {
        snprintf(error, error_size, "dpdk.eal: %s", why);
        return false;
    }
    if (a.count > 1 && a.word[1][0] != '-') {
        snprintf(error, error_size, "dpdk.eal: '%s' is no argument of DPDK: they begin with - or --",
                 a.word[1]);
        return false;
    }
    add_defaults(&a, prefix, threads);
    log_to_us();
    if (!devices_are_ours(&a, error, error_size) || !start(&a, arguments, error, error_size))
        return false;
    if (rte_pdump_init() < 0)
        log_line(LOG_WARNING, "dpdk", "dpdk-dumpcap cannot attach: %s", rte_strerror(rte_errno));
    return true;
}

void dpdk_enter_thread(void)
{
    unsigned left = __atomic_load_n(&lcores_free, __ATOMIC_RELAXED);
    while (left && !__atomic_compare_exchange_n(&lcores_free, &left, left - 1, false, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED))
        ;
    if (left)
        RTE_PER_LCORE(_lcore_id) = RTE_MAX_LCORE - left;
    else if (rte_thread_register() < 0)
        log_line(LOG_WARNING, "dpdk", "a thread has no cache of buffers: %s", rte_strerror(rte_errno));
}

const char *dpdk_runtime_directory(void)
{
    return rte_eal_get_runtime_dir();
}
