#include "play.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"

enum { STUCK = 20000, AT_ONCE = 10000 /* ns */, LOCAL_PORT = 5672, FIRST_PORT = 40000 };

double play_seconds(const struct play *p, uint64_t at_ns)
{
    (void)p;
    return (double)(int64_t)(at_ns - START) / 1e9;
}

static void show_captured(const struct play *p)
{
    char text[TEXT];
    unsigned from = p->captures > 6 ? p->captures - 6 : 0;
    for (unsigned i = from < p->taken ? from : p->taken; i < p->captures; i++) {
        const struct captured *c = &p->captured[i];
        notation_write(&c->segment, true, &c->flow->relative, text, sizeof text);
        fprintf(stderr, "    %s %.6f %s: %s\n", i < p->taken ? "seen   " : "waiting",
                play_seconds(p, c->at_ns), c->flow->name, text);
    }
}

void play_fail(struct play *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%u: %s: ", p->file, p->line, p->title);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n    at %.6f, line: %s\n", play_seconds(p, p->now_ns), p->text);
    show_captured(p);
    longjmp(p->out, 1);
}

static struct flow *new_flow(struct play *p, const char *name)
{
    struct flow *f = calloc(1, sizeof *f);
    CHECK(f && p->flows < FLOWS_MAX);
    f->play = p;
    snprintf(f->name, sizeof f->name, "%s", name);
    f->peer_port = (uint16_t)(FIRST_PORT + p->flows);
    f->local_port = LOCAL_PORT;
    f->relative.peer_isn = p->peer_isn + 1000000 * p->flows;
    f->ts_base = p->peer_ts;
    f->win = 65535;
    p->flow[p->flows++] = f;
    return f;
}

struct flow *play_flow(struct play *p, const char *name)
{
    for (unsigned i = 0; i < p->flows; i++)
        if (strcmp(p->flow[i]->name, name) == 0)
            return p->flow[i];
    return new_flow(p, name);
}

void play_start(struct play *p)
{
    if (p->started)
        return;
    p->started = true;
    p->options.tcp.seed = 5;
    p->wire = sim_wire_new(7);
    memcpy(p->device_options.mac, p->hosts.our_mac, 6);
    p->ours = device_sim_new(p->wire, &p->device_options);
    struct device_sim_options other = {.mtu_max = 65535, .tx_ring = 4096, .rx_ring = 4096, .hears_all = true};
    memcpy(other.mac, p->hosts.peer_mac, 6);
    p->peers = device_sim_new(p->wire, &other);
    struct ip_options *ip = &p->options.ip;
    ip->device = p->ours;
    ip->seed = 11;
    ip->addresses = 1;
    CHECK(ip_prefix_parse(p->hosts.v6 ? "2001:db8::1/64" : "192.0.2.1/24", &ip->address[0]));
    struct ip_address peer;
    CHECK(ip_address_parse(p->hosts.v6 ? "2001:db8::2" : "192.0.2.2", &peer));
    memcpy(p->hosts.ours, ip->address[0].address.bytes, 16);
    memcpy(p->hosts.peers, peer.bytes, 16);
    if (!ip->mtu)
        ip->mtu = p->device_options.mtu_max ? p->device_options.mtu_max : 1500;
    p->stack = stack_new(&p->options);
    play_turn(p);
}

void play_free(struct play *p)
{
    for (unsigned i = 0; i < p->helds; i++)
        p->ours->ops->free(p->ours, p->held[i].buffer);
    if (p->stack)
        stack_free(p->stack);
    if (p->started) {
        if (device_sim_lent(p->ours) != 0) {
            fprintf(stderr, "%s: %s: %u buffers are not given back at the end\n", p->file, p->title,
                    device_sim_lent(p->ours));
            abort();
        }
        p->ours->ops->close(p->ours);
        p->peers->ops->close(p->peers);
        sim_wire_free(p->wire);
    }
    for (unsigned i = 0; i < p->flows; i++)
        user_free(p->flow[i]);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

void play_inject(struct play *p, uint8_t *frame, uint32_t len)
{
    struct tx_frame f = {.head = frame, .head_len = (uint16_t)len};
    if (!p->peers->ops->tx(p->peers, &f))
        play_fail(p, "too many frames at once");
    p->peers->ops->flush(p->peers);
}

static struct flow *whose(struct play *p, const struct segment *s)
{
    for (unsigned i = 0; i < p->flows; i++) {
        struct flow *f = p->flow[i];
        if (f->peer_port == s->to_port && f->local_port == s->from_port)
            return f;
        /* What connect began chooses its port itself. */
        if (f->peer_port == s->to_port && f->local_port == 0) {
            f->local_port = s->from_port;
            return f;
        }
    }
    return NULL;
}

static void capture(struct play *p, const struct frame *frame)
{
    const uint8_t *payload;
    struct captured *c = &p->captured[p->captures];
    c->at_ns = p->now_ns;
    const char *wrong = segment_read(&p->hosts, frame->at, frame->len, &c->segment, &payload);
    if (wrong)
        play_fail(p, "a frame of ours is wrong: %s", wrong);
    c->flow = whose(p, &c->segment);
    if (!c->flow)
        play_fail(p, "a segment of ours is of no known connection: port %u to %u", c->segment.from_port,
                  c->segment.to_port);
    p->captures++;
    if (p->captures == CAPTURED_MAX)
        play_fail(p, "too many segments");
    if (p->verbose) {
        char text[TEXT];
        notation_write(&c->segment, true, &c->flow->relative, text, sizeof text);
        printf("    %.6f %s: %s\n", play_seconds(p, p->now_ns), c->flow->name, text);
    }
    check_ours(c->flow, &c->segment, payload);
}

/* Frames of ours: neighbours are answered for, segments are kept. Returns how many there were. */
static unsigned hear(struct play *p)
{
    struct frame frames[DEVICE_BURST];
    unsigned n = p->peers->ops->rx(p->peers, frames, DEVICE_BURST);
    for (unsigned i = 0; i < n; i++) {
        uint8_t answer[256], *at = frames[i].at;
        uint16_t type = get_be16(at + 12);
        uint32_t len = neighbour_answer(&p->hosts, at, frames[i].len, answer);
        if (len)
            play_inject(p, answer, len);
        else if (type == (p->hosts.v6 ? 0x86dd : 0x0800) && at[p->hosts.v6 ? 20 : 23] == 6)
            capture(p, &frames[i]);
        p->peers->ops->free(p->peers, frames[i].buffer);
    }
    return n;
}

/* ---- time ---------------------------------------------------------------------------------------------- */

void play_turn(struct play *p)
{
    for (unsigned turns = 0;; turns++) {
        if (turns == STUCK)
            play_fail(p, "the stack finds work for ever");
        /* Frames take a nanosecond or two: that is "at once". */
        for (uint64_t next; (next = sim_wire_deadline(p->wire)) < p->now_ns + AT_ONCE;) {
            p->now_ns = next > p->now_ns ? next : p->now_ns;
            sim_wire_advance(p->wire, p->now_ns);
        }
        unsigned work = stack_poll(p->stack, p->now_ns);
        user_work(p);
        stack_flush(p->stack);
        sim_wire_advance(p->wire, p->now_ns);
        work += hear(p);
        if (!work && sim_wire_deadline(p->wire) > p->now_ns + AT_ONCE)
            return;
    }
}

void play_run_until(struct play *p, uint64_t until_ns, bool stop_at_capture)
{
    unsigned same = 0;
    while (!(stop_at_capture && p->taken < p->captures)) {
        uint64_t next = stack_deadline(p->stack), wire = sim_wire_deadline(p->wire);
        next = wire < next ? wire : next;
        if (next > until_ns)
            break;
        same = next <= p->now_ns ? same + 1 : 0;
        if (same == STUCK)
            play_fail(p, "the stack's deadline stays in the past");
        p->now_ns = next > p->now_ns ? next : p->now_ns;
        play_turn(p);
    }
    if (stop_at_capture && p->taken < p->captures)
        return;
    p->now_ns = until_ns > p->now_ns ? until_ns : p->now_ns;
    play_turn(p);
}
