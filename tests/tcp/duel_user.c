#include <string.h>

#include "base/check.h"
#include "duel.h"

static uint64_t draw_wanted(struct duel *d)
{
    return 4 + draw(d, draw(d, 3) ? 20000 : 500000);
}

static void note(struct duel *d, uint64_t what)
{
    d->trace = (d->trace ^ what) * 0x100000001b3u;
}

/* The byte at a position of what an end sends. The serial is all that two connections differ in, so that
 * bytes of another one show. */
static uint8_t byte_at(bool client, uint32_t serial, uint64_t position)
{
    if (client && position < 4)
        return (uint8_t)(serial >> 8 * position);
    position += serial * UINT64_C(977);
    return (uint8_t)((position * 0x9e3779b1u) >> 13 ^ position ^ (client ? 0x55 : 0));
}

/* The other end of the connection, NULL: it isn't known, or another's by now; or there have been two: when a
 * server has reset a connection that began with a cookie, and the reset was lost, a late copy of the first
 * segment begins it anew.
 */
static struct end *other(const struct end *e)
{
    struct side *s = &current->side[e->side == current->side];
    struct end *found = NULL;
    for (unsigned i = 0; i < s->ends && e->serial; i++) {
        if (s->end[i].serial != e->serial || s->end[i].client == e->client)
            continue;
        if (found)
            return NULL;
        found = &s->end[i];
    }
    return found;
}

/* Room for another end; its predecessor is gone, and so is whom that talked to. */
static struct end *new_end(struct side *s)
{
    for (unsigned i = 0; i < s->ends; i++) {
        struct end *e = &s->end[i], *o = other(e);
        if (!e->live && !e->chunks && (!o || !o->live))
            return e;
    }
    return s->ends < CONNS ? &s->end[s->ends++] : NULL;
}

static unsigned count_live(const struct side *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->ends; i++)
        n += s->end[i].live;
    return n;
}

/* ---- upcalls ------------------------------------------------------------------------------------------- */

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    struct side *s = owner;
    (void)tag;
    (void)peer;
    (void)local;
    JUDGE(local_port == PORT, "accepted on another port");
    struct end *e = draw(s->duel, 50) ? new_end(s) : NULL;
    if (!e)
        return NULL;
    *e = (struct end){.side = s, .id = id, .live = true, .lingers = draw(s->duel, 10) > 0};
    e->wanted = draw_wanted(s->duel);
    note(s->duel, peer_port);
    return e;
}

static void on_connected(void *owner, void *user)
{
    (void)owner;
    note(((struct end *)user)->side->duel, 2);
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct side *s = owner;
    struct end *e = user;
    JUDGE(e->live && !e->ended, "data() after the end");
    JUDGE(!e->closed, "data() after close()");
    if (s->helds == HELD || (!s->duel->ending && draw(s->duel, 50) == 0))
        e->paused = true;
    if (e->paused)
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        /* Whose stream it is, it says itself: a server's serial grows with the first bytes. */
        if (!e->client && e->got + i < 4)
            e->serial |= (uint32_t)bytes.at[i] << 8 * (e->got + i);
        else
            JUDGE(bytes.at[i] == byte_at(!e->client, e->serial, e->got + i), "byte %lu is wrong",
                  (unsigned long)(e->got + i));
    }
    memset(room, 0xee, (size_t)(bytes.at - room) + bytes.len);
    e->got += bytes.len;
    e->unused += bytes.len;
    s->duel->moved += bytes.len;
    s->held[s->helds++] = buffer;
    note(s->duel, e->got);
    return true;
}

static void on_ended(void *owner, void *user)
{
    struct end *e = user;
    (void)owner;
    JUDGE(!e->ended, "ended() twice");
    e->ended = true;
    struct end *o = e->got >= 4 || e->client ? other(e) : NULL;
    JUDGE(!o || (o->closed && e->got == o->sent), "%lu bytes of %lu have come", (unsigned long)e->got,
          (unsigned long)o->sent);
    e->side->duel->complete += o != NULL;
    note(e->side->duel, 3);
}

static void on_progress(void *owner, void *user)
{
    (void)owner;
    (void)user;
}

static void on_gone(void *owner, void *user, int error)
{
    struct end *e = user;
    (void)owner;
    JUDGE(e->live, "gone() twice, or after abort()");
    e->live = false;
    note(e->side->duel, 100 + (uint64_t)error);
    if (e->side->duel->verbose)
        printf("%.6f side %d port %lu gone: %s, sent %lu got %lu\n", (double)current->now_ns / 1e9,
               (int)(e->side - current->side), (unsigned long)e->serial, error ? strerror(error) : "0",
               (unsigned long)e->sent, (unsigned long)e->got);
}

struct tcp_upcalls user_upcalls(struct side *s)
{
    return (struct tcp_upcalls){s, on_accepted, on_connected, on_data, on_ended, on_progress, on_gone};
}

/* ---- what users do --------------------------------------------------------------------------------------
 */

void user_take_back(struct end *e, bool all)
{
    uint64_t released = tcp_released(stack_tcp(e->side->stack), e->id);
    JUDGE(released == UINT64_MAX || released <= e->sent, "more is released than was sent");
    while (e->chunks && (all || e->chunk[0].end <= released)) {
        free(e->chunk[0].bytes);
        memmove(e->chunk, e->chunk + 1, --e->chunks * sizeof e->chunk[0]);
    }
}

static void do_send(struct end *e)
{
    size_t bytes = 1 + draw(e->side->duel, draw(e->side->duel, 4) ? 300 : CHUNK_MAX);
    /* A server that doesn't know yet whom it serves has nothing to say. */
    if (e->chunks == CHUNKS || e->closed || e->sent >= e->wanted || (!e->client && e->got < 4))
        return;
    uint8_t *memory = malloc(bytes);
    CHECK(memory);
    for (size_t i = 0; i < bytes; i++)
        memory[i] = byte_at(e->client, e->serial, e->sent + i);
    size_t cut = draw(e->side->duel, bytes + 1);
    struct iovec iov[2] = {{memory, cut}, {memory + cut, bytes - cut}};
    size_t taken = tcp_send(stack_tcp(e->side->stack), e->id, iov, 2);
    e->sent += taken;
    e->chunk[e->chunks++] = (struct chunk){memory, e->sent};
}

static void do_end(struct end *e)
{
    struct tcp *tcp = stack_tcp(e->side->stack);
    if (draw(e->side->duel, 10) == 0 && !e->side->duel->ending) {
        tcp_abort(tcp, e->id);
        e->live = false;
        e->aborted = true;
    } else if (!e->closed) {
        tcp_close(tcp, e->id, 600000);
        e->closed = true;
    }
}

static void use(struct end *e)
{
    if (!e->unused || e->keeps)
        return;
    uint64_t some = 1 + draw(e->side->duel, e->unused);
    tcp_consumed(stack_tcp(e->side->stack), e->id, some);
    e->unused -= some;
}

/* An end whose other has been reset, and never heard of it, waits in FIN-WAIT-2 as long as it lingers: that
 * is TCP. */
static void leave_alone(struct end *e)
{
    struct tcp *tcp = stack_tcp(e->side->stack);
    const struct end *o = other(e);
    if (!e->side->duel->ending || (o && o->live) || tcp_state(tcp, e->id) != TCP_FIN_WAIT_2)
        return;
    tcp_abort(tcp, e->id);
    e->live = false;
}

static void live_on(struct end *e)
{
    struct duel *d = e->side->duel;
    struct tcp *tcp = stack_tcp(e->side->stack);
    if (draw(d, 4) == 0)
        do_send(e);
    if (draw(d, 200) == 0 && !d->ending)
        e->paused = true;
    if (e->paused && (draw(d, 50) == 0 || d->ending)) {
        e->paused = false;
        tcp_resume(tcp, e->id);
    }
    if (draw(d, 100) == 0)
        e->keeps = !d->ending && !e->keeps;
    use(e);
    /* Most wait for the other's end, if it is the other who is to be the first. */
    leave_alone(e);
    if (!e->live)
        return;
    bool enough = e->sent >= e->wanted || d->ending, first = e->serial % 2 == e->client;
    if (draw(d, 20) == 0 && (e->ended || (enough && (first || !e->lingers || d->ending))))
        do_end(e);
    else if (draw(d, 20000) == 0)
        do_end(e);
}

static void open_another(struct side *s)
{
    struct ip_address peer;
    int error = 0;
    CHECK(ip_address_parse(s == s->duel->side ? "192.0.2.2" : "192.0.2.1", &peer));
    struct end *e = new_end(s);
    if (!e)
        return;
    *e = (struct end){.side = s, .client = true, .lingers = draw(s->duel, 10) > 0};
    e->serial = ++s->duel->serials;
    e->wanted = draw_wanted(s->duel);
    e->id = tcp_connect(stack_tcp(s->stack), &peer, PORT, user_upcalls(s), e, &error);
    e->live = e->id != 0;
    s->duel->opened += e->live;
}

void user_give_back(struct side *s)
{
    struct duel *d = s->duel;
    while (s->helds && (d->ending || draw(d, 4))) {
        unsigned i = (unsigned)draw(d, s->helds);
        tcp_free_buffer(stack_tcp(s->stack), s->held[i]);
        s->held[i] = s->held[--s->helds];
    }
}

void user_turn(struct side *s)
{
    struct duel *d = s->duel;
    stack_poll(s->stack, d->now_ns);
    for (unsigned i = 0; i < s->ends; i++) {
        if (s->end[i].live)
            live_on(&s->end[i]);
        user_take_back(&s->end[i], false);
    }
    user_give_back(s);
    if (!d->ending && count_live(s) < AT_ONCE && draw(d, 30) == 0)
        open_another(s);
    stack_flush(s->stack);
}
