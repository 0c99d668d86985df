#include "ws_site.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8 ^ i >> 16);
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t n)
{
    if (buffer->len + n > buffer->room) {
        buffer->room = 2 * (buffer->len + n) + 4096;
        buffer->at = realloc(buffer->at, buffer->room);
        cr_assert(buffer->at);
    }
    if (n)
        memcpy(buffer->at + buffer->len, bytes, n);
    buffer->len += n;
}

/* ---- the front ------------------------------------------------------------------------------------ */

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct site *s = owner;
    cr_assert_eq(tag, s->tag);
    cr_assert_str_eq(local, "binary"); /* the first address of the transport */
    cr_assert_eq(strncmp(peer, "127.0.0.1:", 10), 0);
    s->accepted++;
    s->stream = stream;
    return s->refuse ? NULL : s;
}

static void take(struct site *s, const uint8_t *bytes, size_t n)
{
    if (s->any)
        buffer_add(&s->got, bytes, n);
    for (size_t i = 0; i < n && !s->any; i++)
        if (bytes[i] != pattern(s->received + i))
            cr_assert_fail("byte %zu is wrong", s->received + i);
    s->received += n;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct site *s = owner;
    cr_assert_eq(user, s);
    cr_assert(!s->closed && !s->paused, "data for a stream that is closed or paused");
    cr_assert(bytes.len);
    s->epoch = epoch;
    s->offered = bytes.len;
    size_t used = s->take_none ? 0 : s->take_all ? bytes.len : prng_below(&s->prng, bytes.len + 1);
    take(s, bytes.at, used);
    if (s->keep_paused || (!s->take_all && !s->take_none && prng_below(&s->prng, 4) == 0)) {
        s->paused = true;
        s->t->ops->pause(s->t, s->stream);
    }
    return used;
}

static void on_writable(void *owner, void *user)
{
    struct site *s = user;
    (void)owner;
    cr_assert(!s->closed);
    s->wants = true;
}

static void on_closed(void *owner, void *user, int error)
{
    struct site *s = owner;
    cr_assert_eq(user, s);
    cr_assert(!s->closed);
    s->closed = true;
    s->error = error;
}

static const char *const mqtt[] = {"mqtt", "mqttv3.1", NULL};
static const char *const stomp[] = {"v12.stomp", "v11.stomp", "v10.stomp", NULL};
static const struct ws_speech speech[] = {
    [TAG_BINARY] = {.protocols = mqtt, .required = true, .binary = true},
    [TAG_ANY] = {.protocols = stomp},
};

struct site *site_new(uint64_t seed, uint32_t piece_max, const char *origin)
{
    struct site *s = calloc(1, sizeof *s);
    static const char *origins[1];
    char error[256] = "";
    uint16_t port;
    origins[0] = origin;
    struct sim_network_options network = sim_network_defaults(seed);
    network.piece_max = piece_max;
    const struct transport_ws_options options = {.agent = "front 0",
                                                 .speech = speech,
                                                 .speeches = 2,
                                                 .origins = {origins, origin ? 1 : 0},
                                                 .message_max = MESSAGE_MAX,
                                                 .handshakes_max = 4,
                                                 .handshake_ms = HANDSHAKE_MS};
    s->t = transport_ws_new(&options, (struct transport_user){.owner = s,
                                                              .accepted = on_accepted,
                                                              .data = on_data,
                                                              .writable = on_writable,
                                                              .closed = on_closed});
    s->network = sim_network_new(&network);
    transport_ws_wrap(s->t, transport_sim_new(s->network, transport_ws_user(s->t)));
    cr_assert_eq(s->t->ops->listen(s->t, "binary", TAG_BINARY, &port, error, sizeof error), 0, "%s", error);
    cr_assert_eq(s->t->ops->listen(s->t, "any", TAG_ANY, &port, error, sizeof error), 0, "%s", error);
    s->wants = true;
    s->loans_end = &s->loans;
    prng_seed(&s->prng, seed + 1);
    return s;
}

/* Memory that is no longer lent is gone: who still looks at it is found out. */
static void take_back(struct site *s, uint64_t released)
{
    for (struct loan *loan; (loan = s->loans) && released - s->given_back >= loan->len;) {
        s->given_back += loan->len;
        s->loans = loan->next;
        if (!s->loans)
            s->loans_end = &s->loans;
        memset(loan->at, 0xee, loan->len);
        free(loan->at);
        free(loan);
    }
}

void site_free(struct site *s)
{
    s->t->ops->free(s->t);
    sim_network_free(s->network);
    take_back(s, UINT64_MAX);
    free(s->in.at);
    free(s->out.at);
    free(s->got.at);
    free(s);
}

static uint8_t *lend(struct site *s, size_t n)
{
    struct loan *loan = malloc(sizeof *loan);
    *loan = (struct loan){.at = malloc(n + !n), .len = n};
    cr_assert(loan->at);
    *s->loans_end = loan;
    s->loans_end = &loan->next;
    return loan->at;
}

size_t site_send(struct site *s, const void *bytes, size_t n)
{
    uint8_t *at = lend(s, n);
    memcpy(at, bytes, n);
    size_t took = s->t->ops->send(s->t, s->stream, &(struct iovec){at, n}, 1);
    s->sent += took;
    return took;
}

static void send_some(struct site *s)
{
    struct iovec iov[3];
    struct loan **end = s->loans_end, *loan;
    size_t offered = 0;
    for (int i = 0; i < 3; i++) {
        size_t left = s->to_send - s->sent - offered,
               n = prng_below(&s->prng, prng_below(&s->prng, 2) ? 30001 : 20);
        n = n < left ? n : left;
        iov[i] = (struct iovec){lend(s, n), n};
        for (size_t j = 0; j < n; j++)
            ((uint8_t *)iov[i].iov_base)[j] = pattern(s->sent + offered + j);
        offered += n;
    }
    size_t took = s->t->ops->send(s->t, s->stream, iov, 3);
    cr_assert(took == offered || took == 0, "half a frame");
    s->sent += took;
    s->wants = took == offered;
    if (took || !offered)
        return;
    for (s->loans_end = end; (loan = *end);) { /* not taken, not lent */
        *end = loan->next;
        free(loan->at);
        free(loan);
    }
}

void site_turn(struct site *s)
{
    s->now_ns += MS;
    if (!s->lend && s->epoch)
        s->t->ops->rx_release(s->t, s->epoch);
    if (s->accepted && !s->closed && !s->keep_paused && !s->take_none && prng_below(&s->prng, 3) == 0) {
        s->paused = false;
        s->t->ops->resume(s->t, s->stream);
    }
    s->t->ops->poll(s->t, s->now_ns);
    if (s->accepted && !s->closed && s->sent < s->to_send && s->wants)
        send_some(s);
    s->t->ops->flush(s->t);
    if (s->accepted)
        take_back(s, s->t->ops->released(s->t, s->stream));
}

/* ---- the client ----------------------------------------------------------------------------------- */

void site_both(struct site *s, size_t most)
{
    uint8_t bytes[7000];
    site_turn(s);
    size_t n = s->out.len - s->out.from;
    s->out.from += sim_write(s->network, s->client_id, span_of(s->out.at + s->out.from, n < most ? n : most));
    while ((n = sim_read(s->network, s->client_id, bytes, sizeof bytes)))
        buffer_add(&s->in, bytes, n);
}

void site_dial(struct site *s, int tag)
{
    s->tag = tag;
    s->client_id = sim_connect(s->network, tag == TAG_ANY ? "any" : "binary");
}

void client_say(struct site *s, const char *text)
{
    buffer_add(&s->out, text, strlen(text));
}

void site_shake(struct site *s, int tag)
{
    unsigned before = s->accepted;
    site_dial(s, tag);
    client_say(s,
               "GET /ws HTTP/1.1\r\nHost: here\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Protocol: v10.stomp, mqtt\r\n\r\n");
    const char *head = NULL;
    UNTIL(s, 5000, (head || (head = client_head(s))) && s->accepted == before + 1);
    cr_assert(strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "%s", head);
}

void client_frame(struct site *s, uint8_t first, const void *bytes, size_t n)
{
    uint8_t head[14], *at = head, mask[4];
    for (unsigned i = 0; i < 4; i++)
        mask[i] = (uint8_t)prng_next(&s->prng);
    *at++ = first;
    if (n < 126)
        *at++ = 0x80 | (uint8_t)n;
    else if (n < 65536)
        at = put_be16(put_u8(at, 0x80 | 126), (uint16_t)n);
    else
        at = put_be64(put_u8(at, 0x80 | 127), n);
    memcpy(at, mask, 4);
    buffer_add(&s->out, head, (size_t)(at + 4 - head));
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i] ^ mask[i % 4];
        buffer_add(&s->out, &byte, 1);
    }
}

bool client_take(struct site *s, struct frame *frame)
{
    const uint8_t *at = s->in.at + s->in.from;
    size_t have = s->in.len - s->in.from, head = 2, len;
    if (have < head)
        return false;
    cr_assert_lt(at[1], 128, "the broker masks");
    head += at[1] < 126 ? 0 : at[1] == 126 ? 2 : 8;
    if (have < head)
        return false;
    len = at[1] < 126 ? at[1] : at[1] == 126 ? get_be16(at + 2) : get_be64(at + 2);
    cr_assert(head == 2 || len >= (head == 4 ? 126 : 65536), "a length is not as short as can be");
    if (have < head + len)
        return false;
    *frame = (struct frame){at[0], len, at + head};
    s->in.from += head + len;
    return true;
}

const char *client_head(struct site *s)
{
    buffer_add(&s->in, "", 1);
    s->in.len--;
    char *text = (char *)s->in.at + s->in.from, *end = strstr(text, "\r\n\r\n");
    if (!end)
        return NULL;
    static char head[1000];
    snprintf(head, sizeof head, "%.*s", (int)(end + 4 - text), text);
    s->in.from += (size_t)(end + 4 - text);
    return head;
}

unsigned close_code(const struct frame *frame)
{
    return frame->len >= 2 ? get_be16(frame->at) : 0;
}
