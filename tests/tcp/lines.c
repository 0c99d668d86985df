/* [TIME] [@NAME] what: a segment sent by the peer (<), expected of us (>), or a word of the user's. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "words.h"

/* ---- time ---------------------------------------------------------------------------------------------- */

/* 1.5 (since the start), +0.1 (since the line before), +0.1~0.3 (a range), * (some time within 1,000 s). */
static char *read_when(struct play *p, char *at, struct when *w)
{
    char *end;
    *w = (struct when){false, p->now_ns, p->now_ns};
    if (at[0] == '*' && at[1] == ' ') {
        *w = (struct when){true, p->now_ns, p->now_ns + 1000 * SECOND};
        end = at + 1;
    } else if (*at == '+' || isdigit((unsigned char)*at)) {
        uint64_t base = *at == '+' ? p->now_ns : START;
        w->given = true;
        w->from_ns = w->to_ns = base + (uint64_t)(strtod(at, &end) * 1e9 + 0.5);
        if (*end == '~')
            w->to_ns = base + (uint64_t)(strtod(end + 1, &end) * 1e9 + 0.5);
    } else {
        return at;
    }
    if (*end != ' ' || w->to_ns < w->from_ns)
        play_fail(p, "no such time");
    while (*end == ' ')
        end++;
    return end;
}

/* Before something is done: what came of what was done before must all have been expected. */
void arrive_at(struct play *p, const struct when *w)
{
    if (w->given)
        play_run_until(p, w->from_ns, false);
    if (p->taken < p->captures)
        play_fail(p, "a segment was sent that is not expected");
    for (unsigned i = 0; i < p->flows; i++)
        if (p->flow[i]->events)
            play_fail(p, "%s: an event that is not expected: %s", p->flow[i]->name, p->flow[i]->event[0]);
}

/* ---- the peer's ---------------------------------------------------------------------------------------- */

static uint32_t peers_clock(const struct play *p, const struct flow *f)
{
    return f->ts_base + (uint32_t)((p->now_ns - START) / 1000000);
}

static void add_timestamp(struct play *p, struct flow *f, struct notation *n)
{
    struct segment *s = &n->segment;
    if (s->has & HAS_TS && n->ts_named & 1) {
        if (s->flags & SYN)
            f->ts_base = s->ts_val - (peers_clock(p, f) - f->ts_base);
        return;
    }
    if (!f->peer_ts || !f->our_ts || n->no_ts || s->flags & SYN || s->has & HAS_TS ||
        s->options_len + 12u > sizeof s->options)
        return;
    uint8_t *o = s->options + s->options_len;
    o = put_u8(put_u8(put_u8(put_u8(o, 1), 1), 8), 10);
    put_be32(put_be32(o, peers_clock(p, f)), f->relative.ts_last);
    s->options_len += 12;
    s->has |= HAS_TS;
}

static void complete(struct play *p, struct flow *f, struct notation *n)
{
    struct segment *s = &n->segment;
    s->from_port = f->peer_port;
    s->to_port = f->local_port;
    if (n->has_win)
        f->win = s->win;
    s->win = f->win;
    add_timestamp(p, f, n);
    while (s->options_len % 4)
        s->options[s->options_len++] = 0;
}

static void send_segment(struct play *p, struct flow *f, char *text)
{
    static uint8_t frame[FRAME_MAX], payload[FRAME_MAX];
    struct notation n;
    const char *wrong = notation_read(text, true, &f->relative, &n);
    if (wrong)
        play_fail(p, "%s", wrong);
    complete(p, f, &n);
    uint32_t first = n.segment.seq + (n.segment.flags & SYN ? 1 : 0) - f->relative.peer_isn - 1;
    for (uint32_t i = 0; i < n.segment.len; i++)
        payload[i] = peer_byte(first + i) ^ (n.segment.garbage ? 0xff : 0);
    if (p->verbose) {
        char shown[TEXT];
        notation_write(&n.segment, false, &f->relative, shown, sizeof shown);
        printf("    %.6f %s: %s\n", play_seconds(p, p->now_ns), f->name, shown);
    }
    note_peers(f, &n.segment);
    play_inject(p, frame, segment_build(&p->hosts, &n.segment, payload, frame));
    if (!n.hold)
        play_turn(p);
}

/* icmp unreachable CODE seq N; icmp too_big MTU seq N; icmp expired seq N. */
static void send_icmp(struct play *p, struct flow *f, char *text)
{
    uint8_t frame[256];
    char kind[32] = "", code[32] = "";
    unsigned mtu = 0;
    long seq = 0;
    bool ok = sscanf(text, "%31s seq %ld", kind, &seq) == 2 ||
              sscanf(text, "too_big %u seq %ld", &mtu, &seq) == 2 ||
              sscanf(text, "%31s %31s seq %ld", kind, code, &seq) == 3;
    struct segment about = {.from_port = f->local_port, .to_port = f->peer_port, .flags = ACK};
    about.seq = f->relative.our_isn + (uint32_t)seq;
    if (strncmp(text, "too_big ", 8) == 0)
        *code = 0;
    uint32_t len = ok ? icmp_build(&p->hosts, kind, code, (uint16_t)mtu, &about, frame) : 0;
    if (!len)
        play_fail(p, "icmp unreachable net|host|protocol|port|admin seq N, too_big MTU seq N, expired seq N");
    play_inject(p, frame, len);
    play_turn(p);
}

/* ---- ours ---------------------------------------------------------------------------------------------- */

static const struct segment *next_captured(struct play *p, struct flow *f, const struct when *w)
{
    play_run_until(p, w->to_ns + p->tolerance_ns, true);
    if (p->taken == p->captures)
        play_fail(p, "nothing was sent until %.6f", play_seconds(p, p->now_ns));
    const struct captured *c = &p->captured[p->taken];
    if (c->flow != f)
        play_fail(p, "a segment of another connection came first");
    if (w->given && c->at_ns + p->tolerance_ns < w->from_ns)
        play_fail(p, "it was sent too early, at %.6f", play_seconds(p, c->at_ns));
    return &c->segment;
}

static void expect_one(struct play *p, struct flow *f, const struct notation *n, const struct when *w)
{
    const char *wrong = notation_match(n, next_captured(p, f, w), &f->relative);
    if (wrong)
        play_fail(p, "another segment was sent: %s", wrong);
    p->taken++;
}

static void expect_pieces(struct play *p, struct flow *f, struct notation *n, const struct when *w)
{
    struct segment *e = &n->segment;
    uint32_t end = e->seq + e->len;
    uint8_t last = e->flags;
    while (e->seq != end) {
        const struct segment *s = next_captured(p, f, w);
        if (s->len == 0 || s->len > end - e->seq)
            play_fail(p, "a piece is empty, or too long");
        e->len = s->len;
        e->flags = s->seq + s->len == end ? last : last & ~FIN;
        expect_one(p, f, n, w);
        e->seq += s->len;
    }
}

/* An ISN of ours is learnt from the SYN, which has been captured before its line is read. */
static void expect_segment(struct play *p, struct flow *f, char *text, const struct when *w)
{
    struct notation n;
    if (p->taken == p->captures)
        play_run_until(p, w->to_ns + p->tolerance_ns, true);
    const char *wrong = notation_read(text, false, &f->relative, &n);
    if (wrong)
        play_fail(p, "%s", wrong);
    if (n.in_pieces)
        expect_pieces(p, f, &n, w);
    else
        expect_one(p, f, &n, w);
}

/* ---- several lines as one -------------------------------------------------------------------------------
 */

static void line(struct play *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct play *p, const char *format, ...)
{
    char text[TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    line_run(p, text);
}

/* passive|active [OPTIONS of the peer's SYN] [win N]: a handshake, with 10 ms of round trip. */
void handshake(struct play *p, struct flow *f, bool active, const char *rest)
{
    const char *name = f->name;
    char options[TEXT] = "<mss 1460>", win[32] = "win 65535";
    const char *at = strchr(rest, '<'), *end = strrchr(rest, '>'), *w = strstr(rest, "win ");
    if (strncmp(rest, "full", 4) == 0)
        snprintf(options, sizeof options, "<mss 1460,sackOK,TS val 100000 ecr %s,nop,wscale 7>",
                 active ? "last" : "0");
    if (at && end)
        snprintf(options, sizeof options, "%.*s", (int)(end - at + 1), at);
    if (w)
        snprintf(win, sizeof win, "win %d", (int)strtol(w + 4, NULL, 10));
    if (active) {
        line(p, "@%s connect", name);
        line(p, "@%s > S 0", name);
        line(p, "+0.01 @%s < S. 0 ack 1 %s %s", name, win, options);
        line(p, "@%s > . 1 ack 1", name);
        line(p, "@%s connected", name);
        return;
    }
    line(p, "@%s listen", name);
    line(p, "@%s < S 0 %s %s", name, win, options);
    line(p, "@%s > S. 0 ack 1", name);
    line(p, "+0.01 @%s < . 1 ack 1", name);
    line(p, "@%s accepted", name);
}

void line_run(struct play *p, const char *text)
{
    char copy[TEXT], name[24] = "a", *at = copy;
    struct when w;
    snprintf(copy, sizeof copy, "%s", text);
    play_start(p);
    at = read_when(p, at, &w);
    if (*at == '@') {
        int n = 0;
        sscanf(at, "@%23s %n", name, &n);
        at += n;
    }
    struct flow *f = play_flow(p, name);
    if (at[0] == '>' && at[1] == ' ') {
        expect_segment(p, f, at + 2, &w);
    } else if (at[0] == '<' && at[1] == ' ') {
        arrive_at(p, &w);
        if (strncmp(at + 2, "icmp ", 5) == 0)
            send_icmp(p, f, at + 7);
        else
            send_segment(p, f, at + 2);
    } else {
        word_run(p, f, at, &w);
    }
}
