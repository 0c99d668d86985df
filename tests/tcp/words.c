#include "words.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- what is expected of the upcalls ----------------------------------------------------------------------
 */

static void drop_event(struct flow *f)
{
    memmove(f->event, f->event + 1, --f->events * sizeof f->event[0]);
}

static void expect_event(struct play *p, struct flow *f, const char *what, const struct when *w)
{
    if (w->given) {
        uint64_t early = w->from_ns - p->tolerance_ns;
        if (early > p->now_ns)
            play_run_until(p, early, false);
        if (f->events)
            play_fail(p, "an event too early: %s", f->event[0]);
        while (!f->events && p->now_ns < w->to_ns + p->tolerance_ns)
            play_run_until(p, p->now_ns + SECOND / 1000, false);
    }
    if (!f->events)
        play_fail(p, "it did not happen");
    if (strcmp(f->event[0], what) != 0)
        play_fail(p, "something else happened: %s", f->event[0]);
    drop_event(f);
}

static void expect_data(struct play *p, struct flow *f, const char *rest)
{
    uint64_t bytes = strtoull(rest, NULL, 10);
    if (f->unexpected != bytes)
        play_fail(p, "%lu bytes of data have come", (unsigned long)f->unexpected);
    f->unexpected = 0;
}

/* ---- what the user asks -----------------------------------------------------------------------------------
 */

static const char *const state_names[] = {"CLOSED",      "LISTEN",     "SYN-SENT",   "SYN-RECEIVED",
                                          "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
                                          "CLOSING",     "LAST-ACK",   "TIME-WAIT"};

static void expect_state(struct play *p, struct flow *f, const char *rest)
{
    const char *state = state_names[tcp_state(stack_tcp(p->stack), f->id)];
    if (strcmp(state, rest) != 0)
        play_fail(p, "the state is %s", state);
}

static void expect_released(struct play *p, struct flow *f, const char *rest)
{
    uint64_t n = tcp_released(stack_tcp(p->stack), f->id);
    if (n != strtoull(rest, NULL, 10))
        play_fail(p, "%lu bytes are released", (unsigned long)n);
}

#define STAT(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(struct tcp_stats, name), sizeof(((struct tcp_stats *)0)->name)                       \
    }

static const struct stat_row {
    const char *name;
    size_t at, size;
} stats[] = {
    STAT(segments_in),
    STAT(segments_out),
    STAT(bytes_in),
    STAT(bytes_out),
    STAT(retransmitted),
    STAT(rto),
    STAT(tlp),
    STAT(fast_recoveries),
    STAT(spurious),
    STAT(sum_errors),
    STAT(out_of_window),
    STAT(paws_drops),
    STAT(challenge_acks),
    STAT(resets_in),
    STAT(resets_out),
    STAT(opened_active),
    STAT(opened_passive),
    STAT(failed_opens),
    STAT(cookies_sent),
    STAT(cookies_good),
    STAT(cookies_bad),
    STAT(half_open_dropped),
    STAT(out_of_order),
    STAT(out_of_order_dropped),
    STAT(zero_windows),
    STAT(keepalives),
    STAT(duplicates),
    STAT(icmp_ignored),
    STAT(pmtu_lowered),
    STAT(buffers_copied),
    STAT(connections),
    STAT(half_open),
    STAT(time_wait),
};

/* stat NAME N, or stat NAME >N. */
static void expect_stat(struct play *p, struct flow *f, const char *rest)
{
    char name[32], number[32];
    (void)f;
    if (sscanf(rest, "%31s %31s", name, number) != 2)
        play_fail(p, "stat NAME N");
    for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++) {
        if (strcmp(stats[i].name, name) != 0)
            continue;
        uint64_t v = 0;
        memcpy(&v, (const char *)tcp_stats(stack_tcp(p->stack)) + stats[i].at, stats[i].size);
        bool more = *number == '>';
        uint64_t expected = strtoull(number + more, NULL, 10);
        if (more ? v <= expected : v != expected)
            play_fail(p, "%s is %lu", name, (unsigned long)v);
        return;
    }
    play_fail(p, "no such counter");
}

/* ---- what the user does -----------------------------------------------------------------------------------
 */

static void do_listen(struct play *p, struct flow *f, const char *rest)
{
    uint16_t port = f->local_port;
    struct ip_address any = {0};
    const char *expected = *rest ? rest : "0";
    if (p->listening && !*rest)
        return;
    int error = tcp_listen(stack_tcp(p->stack), &any, &port, 3, user_upcalls(p));
    if (strcmp(error ? strerrorname_np(error) : "0", expected) != 0)
        play_fail(p, "tcp_listen: %s", error ? strerrorname_np(error) : "0");
    p->listening = true;
}

static void do_stop_listening(struct play *p, struct flow *f, const char *rest)
{
    (void)f;
    (void)rest;
    tcp_stop_listening(stack_tcp(p->stack), p);
    p->listening = false;
}

static void do_connect(struct play *p, struct flow *f, const char *rest)
{
    int error = 0;
    struct ip_address peer;
    memcpy(peer.bytes, p->hosts.peers, 16);
    (void)rest;
    f->local_port = 0;
    f->live = true;
    f->id = tcp_connect(stack_tcp(p->stack), &peer, f->peer_port, user_upcalls(p), f, &error);
    if (!f->id)
        play_fail(p, "tcp_connect: %s", strerrorname_np(error));
}

/* send N, or send N takes M. */
static void do_send(struct play *p, struct flow *f, const char *rest)
{
    size_t bytes = 0, takes;
    int n = sscanf(rest, "%zu takes %zu", &bytes, &takes);
    if (n < 1)
        play_fail(p, "send N [takes M]");
    user_send(f, bytes, n == 2 ? takes : bytes);
}

static void do_reply(struct play *p, struct flow *f, const char *rest)
{
    (void)p;
    f->reply = strtoull(rest, NULL, 10);
}

static void do_close(struct play *p, struct flow *f, const char *rest)
{
    double linger = 600;
    sscanf(rest, "linger %lf", &linger);
    tcp_close(stack_tcp(p->stack), f->id, (uint32_t)(linger * 1000));
}

static void do_abort(struct play *p, struct flow *f, const char *rest)
{
    (void)rest;
    tcp_abort(stack_tcp(p->stack), f->id);
    f->live = false;
}

static void do_pause(struct play *p, struct flow *f, const char *rest)
{
    (void)p;
    (void)rest;
    f->paused = true;
}

static void do_resume(struct play *p, struct flow *f, const char *rest)
{
    (void)rest;
    f->paused = false;
    tcp_resume(stack_tcp(p->stack), f->id);
}

static void do_keep(struct play *p, struct flow *f, const char *rest)
{
    (void)p;
    (void)rest;
    f->keeps = true;
}

/* use N: so many of the kept bytes are used up; use all: and what comes from now on, at once. */
static void do_use(struct play *p, struct flow *f, const char *rest)
{
    if (strcmp(rest, "all") == 0) {
        f->keeps = false;
        return;
    }
    uint64_t bytes = strtoull(rest, NULL, 10);
    if (bytes == 0 || bytes > f->unused)
        play_fail(p, "only %lu bytes are kept", (unsigned long)f->unused);
    f->unused -= bytes;
    tcp_consumed(stack_tcp(p->stack), f->id, bytes);
}

static void do_refuse(struct play *p, struct flow *f, const char *rest)
{
    (void)p;
    (void)rest;
    f->refuses = true;
}

/* reopen [isn N]: the same ports once more, from the peer's initial sequence number N. */
static void do_reopen(struct play *p, struct flow *f, const char *rest)
{
    unsigned long isn = 0;
    (void)p;
    if (sscanf(rest, "isn %lu", &isn) == 1)
        f->relative.peer_isn = (uint32_t)isn;
    f->reopened = true;
    f->live = f->has_acked = f->has_edge = false;
    f->relative.ts_first = f->relative.ts_last = 0;
    f->got = f->sent = f->unused = f->unexpected = 0;
}

static void do_skip(struct play *p, struct flow *f, const char *rest)
{
    (void)f;
    (void)rest;
    p->taken = p->captures;
}

static void do_nothing(struct play *p, struct flow *f, const char *rest)
{
    (void)p;
    (void)f;
    (void)rest;
}

static void do_unplug(struct play *p, struct flow *f, const char *rest)
{
    (void)f;
    device_sim_unplug(p->peers, strcmp(rest, "back") != 0);
}

static void do_passive(struct play *p, struct flow *f, const char *rest)
{
    handshake(p, f, false, rest);
}

static void do_active(struct play *p, struct flow *f, const char *rest)
{
    handshake(p, f, true, rest);
}

/* ---- */

static const struct word_row {
    const char *word;
    void (*run)(struct play *p, struct flow *f, const char *rest);
    bool looks; /* expects only: what else has happened may be said behind it */
} words[] = {
    {"listen", do_listen, false},
    {"stop_listening", do_stop_listening, false},
    {"connect", do_connect, false},
    {"passive", do_passive, false},
    {"active", do_active, false},
    {"send", do_send, false},
    {"reply", do_reply, false},
    {"close", do_close, false},
    {"abort", do_abort, false},
    {"pause", do_pause, false},
    {"resume", do_resume, false},
    {"keep", do_keep, false},
    {"use", do_use, false},
    {"refuse", do_refuse, false},
    {"reopen", do_reopen, false},
    {"unplug", do_unplug, false},
    {"quiet", do_nothing, false},
    {"skip", do_skip, true},
    {"data", expect_data, true},
    {"state", expect_state, true},
    {"released", expect_released, true},
    {"stat", expect_stat, true},
};

void word_run(struct play *p, struct flow *f, const char *text, const struct when *w)
{
    char word[32] = "";
    int n = 0;
    sscanf(text, "%31s %n", word, &n);
    const char *rest = text + n;
    static const char *const events[] = {"accepted", "refused", "connected", "ended", "gone"};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (strcmp(events[i], word) == 0) {
            expect_event(p, f, strcmp(text, "gone") == 0 ? "gone 0" : text, w);
            return;
        }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) != 0)
            continue;
        if (!words[i].looks)
            arrive_at(p, w);
        else if (w->given)
            play_run_until(p, w->from_ns, false);
        words[i].run(p, f, rest);
        if (!words[i].looks)
            play_turn(p);
        return;
    }
    play_fail(p, "what is this?");
}
