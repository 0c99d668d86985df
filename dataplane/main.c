/* gannetd: command line, clocks, signals. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "gannetd.h"
#include "listener_kinds.h"
#include "machine.h"
#include "tls.h"

enum { LOOK_S = 24 * 3600 };

/* The signals that main() waits for; every thread has them blocked. */
static sigset_t signals;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint64_t clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

static uint64_t seed(void)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = wall_ns();
    return random;
}

static void block_signals(void)
{
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A second SIGTERM or SIGINT ends the waiting. */
static bool hurry(void)
{
    int got = sigtimedwait(&signals, NULL, &(struct timespec){0});
    return got == SIGTERM || got == SIGINT;
}

/* Returns when it is time to end. */
static void serve(struct gannetd *gannetd)
{
    uint64_t looked_ns = clock_ns();
    for (;;) {
        int got = sigtimedwait(&signals, NULL, &(struct timespec){.tv_sec = LOOK_S});
        if (got == SIGHUP)
            gannetd_reload(gannetd);
        else if (got > 0)
            return;
        if (clock_ns() - looked_ns >= LOOK_S * UINT64_C(1000000000)) {
            looked_ns = clock_ns();
            gannetd_look(gannetd);
        }
    }
}

static int run(const struct command_line *line, struct config *config)
{
    static struct gannetd gannetd;
    char error[1024];
    uint64_t from_ns = clock_ns();
    gannetd = (struct gannetd){
        .line = line, .config = config, .clock_ns = clock_ns, .wall_ns = wall_ns, .seed = seed(), .lock = -1};
    for (unsigned i = 0; i < sizeof gannetd.secret; i += sizeof(uint64_t))
        memcpy(gannetd.secret + i, &(uint64_t){seed()}, sizeof(uint64_t));
    block_signals();
    log_start(config->log_level, wall_ns);
    hash_set_secret(seed());
    log_line(LOG_INFO, "main", "gannetd " GANNET_VERSION ", process %d, data in %s", (int)getpid(),
             config->data_dir);
    if (!gannetd_start(&gannetd, error, sizeof error)) {
        log_line(LOG_ERROR, "main", "%s", error);
        log_stop();
        /* Agents may run and the journal may hold buffers: the kernel takes back what the process has. */
        _exit(1);
    }
    log_line(LOG_INFO, "main", "ready after %llu ms", (unsigned long long)(clock_ns() - from_ns) / 1000000);
    serve(&gannetd);
    bool clean = gannetd_stop(&gannetd, hurry);
    log_line(LOG_INFO, "main", clean ? "ended" : "ended, not cleanly");
    log_stop();
    close(gannetd.lock);
    return clean ? 0 : 1;
}

/* What start would refuse without having looked at the data directory. */
static int check(const struct config *config)
{
    struct tls_service *tls = NULL;
    char error[1024];
    bool good = !listener_wants(config, LAYER_TLS) ||
                (tls = tls_service_new(config, 1, clock_ns(), error, sizeof error));
    tls_service_free(tls);
    if (!good)
        fprintf(stderr, "%s\n", error);
    return good && printf("the configuration is good\n") > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct command_line line;
    struct config config;
    int status = command_line_read(&line, argc, argv);
    if (status < 0) {
        bool good = command_line_config(&line, &config, machine_memory());
        if (!good)
            status = 1;
        else if (line.check)
            status = check(&config);
        else
            status = run(&line, &config);
        config_free(&config);
    }
    free(line.set);
    return status;
}
