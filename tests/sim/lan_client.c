/* The clients' hosts, and the streams on them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "lan_inside.h"

enum { CLIENT_WHO = 16, LINGER_MS = 3000 };

struct lan_stream *lan_find(const struct lan *lan, uint64_t id)
{
    return id >= 1 && id <= lan->streams ? lan->stream[id - 1] : NULL;
}

static struct tcp *tcp_of(const struct lan_stream *s)
{
    return stack_tcp(s->host->stack);
}

/* ---- what TCP tells ------------------------------------------------------------------------------------ */

static void on_connected(void *owner, void *user)
{
    struct lan_stream *s = user;
    (void)owner;
    s->open = true;
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct lan_stream *s = user;
    (void)owner;
    (void)room;
    if (s->in_len + bytes.len > s->window && s->in_len) {
        s->kept = true;
        return false;
    }
    s->in = realloc(s->in, s->in_len + bytes.len + 1);
    CHECK(s->in);
    put_span(s->in + s->in_len, bytes);
    s->in_len += bytes.len;
    tcp_free_buffer(tcp_of(s), buffer);
    return true;
}

static void on_ended(void *owner, void *user)
{
    struct lan_stream *s = user;
    (void)owner;
    s->ended = true;
}

static void on_progress(void *owner, void *user)
{
    (void)owner;
    (void)user;
}

static void on_gone(void *owner, void *user, int error)
{
    struct lan_stream *s = user;
    (void)owner;
    s->gone = true;
    s->open = false;
    if (s->state == SIM_OPEN && error) {
        s->state = error == ECONNREFUSED ? SIM_REFUSED : SIM_RESET;
        history_note("stream %llu: errno %d for the client", (unsigned long long)s->id, error);
    }
}

/* ---- streams ------------------------------------------------------------------------------------------- */

static void free_pieces(struct lan_stream *s, uint64_t released)
{
    for (struct piece *piece; (piece = s->first) && piece->end <= released; free(piece)) {
        s->first = piece->next;
        if (!s->first)
            s->end = &s->first;
    }
}

void lan_stream_free(struct lan_stream *s)
{
    free_pieces(s, UINT64_MAX);
    free(s->in);
    s->lan->stream[s->id - 1] = NULL;
    free(s);
}

void lan_reap(struct lan *lan)
{
    for (size_t i = lan->first; i < lan->streams; i++) {
        struct lan_stream *s = lan->stream[i];
        if (!s)
            continue;
        uint64_t released = s->host ? tcp_released(tcp_of(s), s->conn) : UINT64_MAX;
        free_pieces(s, released);
        if (s->forgotten && s->gone && !s->first)
            lan_stream_free(s);
    }
    while (lan->first < lan->streams && !lan->stream[lan->first])
        lan->first++;
}

static struct lan_stream *add(struct lan *lan)
{
    if (lan->streams == lan->room) {
        lan->room = lan->room ? 2 * lan->room : 64;
        lan->stream = realloc(lan->stream, lan->room * sizeof *lan->stream);
        CHECK(lan->stream);
    }
    struct lan_stream *s = calloc(1, sizeof *s);
    CHECK(s);
    lan->stream[lan->streams++] = s;
    s->lan = lan;
    s->id = lan->streams;
    s->end = &s->first;
    return s;
}

/* The address of one of the fronts, or of one that could be there. */
static struct ip_address choose(struct lan *lan)
{
    unsigned on = 0;
    while (on < LAN_FRONTS && lan->front[on].device)
        on++;
    return lan_host_address(lan, 0, 1 + (unsigned)prng_below(&lan->prng, on ? on : LAN_FRONTS));
}

static void name(struct lan_stream *s)
{
    char ip[IP_TEXT];
    ip_address_text(&s->host->address, ip);
    snprintf(s->peer, sizeof s->peer, ip_address_is_v4(&s->host->address) ? "%s:%u" : "[%s]:%u", ip,
             tcp_local_port(tcp_of(s), s->conn));
}

uint64_t lan_connect(struct lan *lan, unsigned client)
{
    struct host *host = &lan->client[client];
    CHECK(client < LAN_CLIENTS);
    if (!host->device) {
        host->generation += (unsigned)prng_below(&lan->prng, 2);
        host_on(lan, host, CLIENT_WHO + client, false);
        tcp_set_now(stack_tcp(host->stack), lan->now_ns);
    }
    struct lan_stream *s = add(lan);
    struct tcp_upcalls up = {lan, NULL, on_connected, on_data, on_ended, on_progress, on_gone};
    struct ip_address to = choose(lan);
    int error;
    s->host = host;
    s->window = 1 + prng_below(&lan->prng, lan->plan.window);
    s->conn = tcp_connect(stack_tcp(host->stack), &to, LAN_PORT, up, s, &error);
    if (!s->conn)
        history_fail("client %u can't connect: errno %d", client, error);
    s->state = SIM_OPEN;
    name(s);
    history_note("client %u is %s", client, s->peer);
    return s->id;
}

enum sim_state lan_state(const struct lan *lan, uint64_t id)
{
    const struct lan_stream *s = lan_find(lan, id);
    if (!s)
        return SIM_RESET;
    if (s->state == SIM_OPEN && s->ended && s->in_len == 0 && !s->kept && !s->deaf)
        return SIM_ENDED;
    return s->state;
}

size_t lan_write(struct lan *lan, uint64_t id, struct span bytes)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s || s->state != SIM_OPEN || !s->open || !bytes.len)
        return 0;
    uint64_t on_way = s->written - tcp_released(tcp_of(s), s->conn);
    if (on_way >= s->window)
        return 0;
    size_t n = s->window - on_way < bytes.len ? s->window - on_way : bytes.len;
    struct piece *piece = malloc(sizeof *piece + n);
    CHECK(piece);
    put_span(piece->bytes, span_of(bytes.at, n));
    n = tcp_send(tcp_of(s), s->conn, &(struct iovec){piece->bytes, n}, 1);
    s->written += n;
    piece->next = NULL;
    piece->end = s->written;
    *s->end = piece;
    s->end = &piece->next;
    return n;
}

size_t lan_read(struct lan *lan, uint64_t id, void *to, size_t room)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s || s->state != SIM_OPEN || s->deaf)
        return 0;
    size_t n = room < s->in_len ? room : s->in_len;
    if (n) {
        put_span(to, span_of(s->in, n));
        memmove(s->in, s->in + n, s->in_len - n);
        s->in_len -= n;
    }
    if (s->gone)
        return n;
    if (n)
        tcp_consumed(tcp_of(s), s->conn, n);
    if (s->kept && s->in_len < s->window) {
        s->kept = false;
        tcp_resume(tcp_of(s), s->conn);
    }
    return n;
}

void lan_close(struct lan *lan, uint64_t id)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s || s->state != SIM_OPEN || !s->open)
        return;
    s->open = false;
    s->closing = true;
    tcp_close(tcp_of(s), s->conn, LINGER_MS);
}

static void cut_off(struct lan_stream *s)
{
    if (!s->gone)
        tcp_abort(tcp_of(s), s->conn);
    s->gone = true;
    s->open = false;
}

void lan_reset(struct lan *lan, uint64_t id)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s || s->state != SIM_OPEN)
        return;
    cut_off(s);
    s->state = SIM_RESET;
}

/* All streams of the host are lost with it. */
void lan_vanish(struct lan *lan, uint64_t id)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s || !s->host)
        return;
    struct host *host = s->host;
    host_off(host);
    for (size_t i = lan->first; i < lan->streams; i++) {
        s = lan->stream[i];
        if (!s || s->host != host)
            continue;
        s->gone = true;
        s->open = false;
        s->host = NULL;
    }
}

void lan_deafen(struct lan *lan, uint64_t id, bool deaf)
{
    struct lan_stream *s = lan_find(lan, id);
    if (s)
        s->deaf = deaf;
}

/* A stream that wasn't closed is reset. */
void lan_forget(struct lan *lan, uint64_t id)
{
    struct lan_stream *s = lan_find(lan, id);
    if (!s)
        return;
    if (!s->gone && !s->closing)
        cut_off(s);
    s->forgotten = true;
}
