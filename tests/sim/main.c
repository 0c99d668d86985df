/*
 * gannet-sim --seed N --ops N [--seeds COUNT] [--tcp] [--tcp-every N] [--once] [--verbose]
 *
 * Runs COUNT seeds from N on, each twice (with --once: once), and says what was violated, if anything. --tcp:
 * clients and broker talk over our own TCP; --tcp-every N: so do those seeds that N divides.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "world.h"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

/* What the sanitizers find ends in the handler below, so that the seed is known. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_abort=0:detect_leaks=0:allocator_may_return_null=0";
}

const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

static void on_abort(int number)
{
    history_print("the process was ended (a CHECK or a sanitizer: see above; or SIGTERM)");
    signal(number, SIG_DFL);
    raise(number);
}

struct arguments {
    uint64_t seed, ops, seeds;
    uint64_t tcp_every; /* 0: none */
    bool verbose, once;
};

static void usage(void)
{
    fprintf(stderr, "usage: gannet-sim --seed N --ops N [--seeds COUNT] [--tcp] [--tcp-every N] [--once] "
                    "[--verbose]\n");
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno || *end || !*text)
        usage();
    return n;
}

static struct arguments parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'}, {"ops", 1, NULL, 'o'}, {"seeds", 1, NULL, 'n'},     {"verbose", 0, NULL, 'v'},
        {"once", 0, NULL, '1'}, {"tcp", 0, NULL, 't'}, {"tcp-every", 1, NULL, 'e'}, {0}};
    struct arguments a = {.seed = 1, .ops = 1000, .seeds = 1};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            a.seed = number(optarg);
        else if (c == 'o')
            a.ops = number(optarg);
        else if (c == 'n')
            a.seeds = number(optarg);
        else if (c == 'e')
            a.tcp_every = number(optarg);
        else if (c == 't')
            a.tcp_every = 1;
        else if (c == 'v')
            a.verbose = true;
        else if (c == '1')
            a.once = true;
        else
            usage();
    }
    if (optind != argc)
        usage();
    return a;
}

static bool is_tcp(const struct arguments *a, uint64_t seed)
{
    return a->tcp_every && seed % a->tcp_every == 0;
}

static uint64_t run(const struct arguments *a, uint64_t seed, const char *command, bool again)
{
    struct world_options options = {.seed = seed, .ops = a->ops, .tcp = is_tcp(a, seed)};
    history_start(seed, command, a->verbose, again);
    world_run(&options);
    return history_end();
}

int main(int argc, char **argv)
{
    struct arguments a = parse(argc, argv);
    char command[1024];
    struct timespec start, end;
    signal(SIGABRT, on_abort);
    signal(SIGTERM, on_abort);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t seed = a.seed; seed < a.seed + a.seeds; seed++) {
        snprintf(command, sizeof command, "%s --seed %llu --ops %llu%s", argv[0], (unsigned long long)seed,
                 (unsigned long long)a.ops, is_tcp(&a, seed) ? " --tcp" : "");
        uint64_t sum = run(&a, seed, command, false);
        if (!a.once)
            run(&a, seed, command, true);
        if (a.seeds == 1)
            printf("seed %llu: trace %016llx\n", (unsigned long long)seed, (unsigned long long)sum);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%llu seeds from %llu, %llu ops each, %.1f s: nothing violated\n", (unsigned long long)a.seeds,
           (unsigned long long)a.seed, (unsigned long long)a.ops,
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return 0;
}
