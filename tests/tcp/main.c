/*
 * tcp-script [--verbose] [--only TEXT] FILE.pkt ...
 *
 * Runs each conversation of the files against the stack, in a process of its own, so that a CHECK or a
 * sanitizer ends only that one. --only: those with TEXT in their title.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "words.h"

enum { SECONDS_MAX = 120 };

/* A file, and which of its lines one conversation is. */
struct script {
    const char *name;
    char **line;
    unsigned lines;
};

struct run {
    bool verbose;
    const char *only;
    unsigned passed, failed;
};

static bool is_title(const char *line)
{
    return strncmp(line, "conversation ", 13) == 0;
}

/* Blanks at both ends, and comments, are cut off. */
static char *trim(char *line)
{
    line += strspn(line, " \t");
    char *comment = strchr(line, '#');
    if (comment)
        *comment = 0;
    size_t n = strlen(line);
    while (n && strchr(" \t\r\n", line[n - 1]))
        line[--n] = 0;
    return line;
}

static struct script load(const char *name)
{
    struct script s = {.name = name};
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(name, "r");
    if (!f) {
        perror(name);
        exit(2);
    }
    while (getline(&line, &room, f) >= 0) {
        s.line = realloc(s.line, (s.lines + 1) * sizeof *s.line);
        CHECK(s.line);
        s.line[s.lines++] = strdup(trim(line));
    }
    free(line);
    fclose(f);
    return s;
}

static void defaults(struct play *p)
{
    p->now_ns = START;
    p->tolerance_ns = 2 * SECOND / 1000;
    p->peer_isn = 5000;
    p->peer_ts = 1000;
    memcpy(p->hosts.our_mac, "\x02\0\0\0\0\x01", 6);
    memcpy(p->hosts.peer_mac, "\x02\0\0\0\0\x02", 6);
    p->options.tcp = (struct tcp_options){.connections_max = 64,
                                          .half_open_max = 16,
                                          .time_wait_max = 64,
                                          .keepalive_ms = UINT32_MAX,
                                          .rto_min_us = 200000,
                                          .congestion = "newreno"};
    memcpy(p->options.tcp.secret, "a secret of thirty-two bytes ...", 32);
}

static void run_line(struct play *p, const struct script *s, unsigned i)
{
    const char *text = s->line[i];
    p->line = i + 1;
    snprintf(p->text, sizeof p->text, "%s", text);
    if (p->verbose && *text)
        printf("%s:%u: %s\n", s->name, i + 1, text);
    if (strncmp(text, "option ", 7) == 0)
        option_run(p, text + 7);
    else if (*text)
        line_run(p, text);
}

/* At the end nothing may be left that nobody expected. */
static void end_of_conversation(struct play *p)
{
    struct when now = {false, p->now_ns, p->now_ns};
    snprintf(p->text, sizeof p->text, "(end)");
    if (!p->started)
        play_fail(p, "there is nothing in it");
    arrive_at(p, &now);
    for (unsigned i = 0; i < p->flows; i++)
        if (p->flow[i]->unexpected)
            play_fail(p, "%s: %lu bytes of data are not expected", p->flow[i]->name,
                      (unsigned long)p->flow[i]->unexpected);
}

/* The conversation whose title is at `from`. Returns the exit status. */
static int converse(const struct script *s, unsigned from, bool verbose)
{
    struct play *p = calloc(1, sizeof *p);
    CHECK(p);
    defaults(p);
    p->file = s->name;
    p->title = s->line[from] + 13;
    p->verbose = verbose;
    if (setjmp(p->out))
        return 1;
    for (unsigned i = 0; i < s->lines && !is_title(s->line[i]); i++)
        run_line(p, s, i);
    for (unsigned i = from + 1; i < s->lines && !is_title(s->line[i]); i++)
        run_line(p, s, i);
    end_of_conversation(p);
    play_free(p);
    free(p);
    return 0;
}

static void run_one(struct run *r, const struct script *s, unsigned from)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(SECONDS_MAX);
        int result = converse(s, from, r->verbose);
        fflush(NULL);
        if (result)
            _exit(result);
        exit(0); /* so that leaks are looked for */
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s:%u: %s: ended by signal %d\n", s->name, from + 1, s->line[from] + 13,
                WTERMSIG(status));
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good)
        fprintf(stderr, "FAILED %s:%u: %s\n", s->name, from + 1, s->line[from] + 13);
    r->passed += good;
    r->failed += !good;
}

int main(int argc, char **argv)
{
    struct run r = {0};
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            r.verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            r.only = argv[++i];
            continue;
        }
        struct script s = load(argv[i]);
        for (unsigned from = 0; from < s.lines; from++)
            if (is_title(s.line[from]) && (!r.only || strstr(s.line[from], r.only)))
                run_one(&r, &s, from);
        for (unsigned n = 0; n < s.lines; n++)
            free(s.line[n]);
        free(s.line);
    }
    printf("%u conversations passed, %u failed\n", r.passed, r.failed);
    return r.failed > 0 || r.passed == 0;
}
