#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "play.h"

/* Different in each direction, and with no short period. */
uint8_t our_byte(uint64_t n)
{
    return (uint8_t)((n * 0x9e3779b1u) >> 13 ^ n);
}

uint8_t peer_byte(uint64_t n)
{
    return (uint8_t)((n * 0x85ebca6bu) >> 11 ^ n ^ 0x55);
}

static void event(struct flow *f, const char *what)
{
    if (f->play->verbose)
        printf("    %.6f %s: %s\n", play_seconds(f->play, f->play->now_ns), f->name, what);
    CHECK(f->events < EVENTS_MAX);
    snprintf(f->event[f->events++], sizeof f->event[0], "%s", what);
}

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    struct play *p = owner;
    (void)tag;
    const uint8_t *address = p->hosts.v6 ? peer->bytes : peer->bytes + 12;
    size_t from = p->hosts.v6 ? 0 : 12;
    if (memcmp(address, p->hosts.peers + from, 16 - from) != 0 ||
        memcmp(local->bytes + from, p->hosts.ours + from, 16 - from) != 0)
        play_fail(p, "accepted() is told other addresses");
    for (unsigned i = 0; i < p->flows; i++) {
        struct flow *f = p->flow[i];
        if (f->peer_port != peer_port || f->local_port != local_port)
            continue;
        event(f, f->refuses ? "refused" : "accepted");
        if (f->refuses)
            return NULL;
        f->id = id;
        f->live = true;
        return f;
    }
    play_fail(p, "accepted() is told of an unknown connection");
}

static void on_connected(void *owner, void *user)
{
    (void)owner;
    event(user, "connected");
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct play *p = owner;
    struct flow *f = user;
    if (!f->live)
        play_fail(p, "%s: data() after the end", f->name);
    if (f->paused)
        return false;
    if (room > bytes.at || bytes.len == 0)
        play_fail(p, "%s: data() with room behind it, or nothing", f->name);
    memset(room, 0xee, (size_t)(bytes.at - room));
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != peer_byte(f->got + i))
            play_fail(p, "%s: byte %lu of the stream is wrong", f->name, (unsigned long)(f->got + i));
    f->got += bytes.len;
    f->unexpected += bytes.len;
    f->unused += bytes.len;
    CHECK(p->helds < HELD_MAX);
    p->held[p->helds++] = (struct held){f, buffer};
    return true;
}

static void on_ended(void *owner, void *user)
{
    (void)owner;
    event(user, "ended");
}

static void on_progress(void *owner, void *user)
{
    (void)owner;
    (void)user;
}

static void on_gone(void *owner, void *user, int error)
{
    struct flow *f = user;
    char text[32];
    (void)owner;
    snprintf(text, sizeof text, "gone %s", error ? strerrorname_np(error) : "0");
    if (!f->live)
        play_fail(f->play, "%s: gone() twice", f->name);
    event(f, text);
    f->live = false;
}

struct tcp_upcalls user_upcalls(struct play *p)
{
    return (struct tcp_upcalls){p, on_accepted, on_connected, on_data, on_ended, on_progress, on_gone};
}

/* What is released is the user's again: it is overwritten, so that a retransmission of it shows. */
static void take_back(struct flow *f)
{
    uint64_t released = tcp_released(stack_tcp(f->play->stack), f->id);
    if (released != UINT64_MAX && released > f->sent)
        play_fail(f->play, "%s: more is released than was sent", f->name);
    while (f->lents && f->lent[0].end <= released) {
        free(f->lent[0].bytes);
        memmove(f->lent, f->lent + 1, --f->lents * sizeof f->lent[0]);
    }
}

void user_send(struct flow *f, size_t bytes, size_t expected)
{
    struct play *p = f->play;
    uint8_t *memory = malloc(bytes + 1);
    CHECK(memory && f->lents < LENT_MAX);
    for (size_t i = 0; i < bytes; i++)
        memory[i] = our_byte(f->sent + i);
    size_t half = bytes / 2;
    struct iovec iov[3] = {{memory, half}, {NULL, 0}, {memory + half, bytes - half}};
    size_t taken = tcp_send(stack_tcp(p->stack), f->id, iov, 3);
    f->sent += taken;
    f->lent[f->lents++] = (struct lent){memory, taken, f->sent};
    if (taken != expected)
        play_fail(p, "tcp_send took %zu bytes", taken);
}

void user_work(struct play *p)
{
    struct tcp *tcp = stack_tcp(p->stack);
    unsigned kept = 0;
    for (unsigned i = 0; i < p->helds; i++) {
        if (p->held[i].flow->keeps)
            p->held[kept++] = p->held[i];
        else
            tcp_free_buffer(tcp, p->held[i].buffer);
    }
    p->helds = kept;
    for (unsigned i = 0; i < p->flows; i++) {
        struct flow *f = p->flow[i];
        if (f->unused && !f->keeps) {
            if (f->live)
                tcp_consumed(tcp, f->id, f->unused);
            f->unused = 0;
            if (f->reply)
                user_send(f, f->reply, f->reply);
            f->reply = 0;
        }
        take_back(f);
    }
}

void user_free(struct flow *f)
{
    for (unsigned i = 0; i < f->lents; i++)
        free(f->lent[i].bytes);
    free(f);
}
