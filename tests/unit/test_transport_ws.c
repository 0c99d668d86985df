/* What WebSocket carries, and how its streams end: cut up, delayed and lent from, over many seeds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transport/rx.h"
#include "transport/ws_inside.h"
#include "ws_site.h"

enum { SEEDS = 12 };

/* More of the pattern, in a message of one to four frames with pings between. */
static size_t give(struct site *s, size_t sent, size_t most)
{
    static uint8_t bytes[40000];
    unsigned parts = 1 + (unsigned)prng_below(&s->prng, 4);
    for (unsigned part = 0; part < parts; part++) {
        static const size_t sizes[] = {0, 1, 125, 126, 127, 4096, 32767, sizeof bytes};
        size_t n = prng_below(&s->prng, 1 + sizes[prng_below(&s->prng, 8)]), left = most - sent;
        n = n < left ? n : left;
        for (size_t i = 0; i < n; i++)
            bytes[i] = pattern(sent + i);
        client_frame(s, (part + 1 == parts ? FIN : 0) | (part ? MORE : BINARY), bytes, n);
        sent += n;
        if (prng_below(&s->prng, 4) == 0)
            client_frame(s, FIN | (prng_below(&s->prng, 2) ? PING : PONG), "beat", prng_below(&s->prng, 5));
    }
    return sent;
}

/* Reads and checks what has come, behind what the client has; returns what it has then. */
static size_t take(struct site *s, size_t have, unsigned *pongs)
{
    for (struct frame frame; client_take(s, &frame);) {
        if (frame.first == (FIN | PONG)) {
            cr_assert(memcmp(frame.at, "beat", frame.len) == 0);
            *pongs += 1;
            continue;
        }
        cr_assert_eq(frame.first, FIN | BINARY);
        for (size_t i = 0; i < frame.len; i++)
            cr_assert_eq(frame.at[i], pattern(have + i));
        have += frame.len;
    }
    return have;
}

Test(transport_ws, carries_every_byte_both_ways)
{
    enum { BYTES = 400000 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct site *s = site_new(seed, seed % 3 ? 30000 : 100, NULL);
        size_t out = 0, in = 0;
        unsigned pongs = 0;
        s->to_send = BYTES;
        s->take_all = seed % 4 == 3;
        site_shake(s, TAG_BINARY);
        for (unsigned i = 0; (in < BYTES || s->received < BYTES) && i < 200000; i++) {
            if (out < BYTES && s->out.len - s->out.from < 100000)
                out = give(s, out, BYTES);
            site_both(s, 5000);
            in = take(s, in, &pongs);
        }
        cr_assert_eq(in, BYTES, "%zu came, seed %u", in, (unsigned)seed);
        cr_assert_eq(s->received, BYTES, "%zu came, seed %u", s->received, (unsigned)seed);
        cr_assert(!s->closed && pongs);
        UNTIL(s, 5000, s->t->ops->released(s->t, s->stream) == BYTES);
        site_free(s);
    }
}

/* The answer to one byte at a time is the same, whatever comes next in the stream. */
Test(transport_ws, single_bytes)
{
    for (unsigned size = 1; size < 40; size++) {
        struct site *s = site_new(size, 1, NULL);
        size_t out = 0;
        s->take_all = true;
        site_shake(s, TAG_BINARY);
        while (out < 700)
            out = give(s, out, 700);
        UNTIL(s, size, s->received == 700);
        site_free(s);
    }
}

Test(transport_ws, a_send_is_one_frame_and_copies_nothing)
{
    struct site *s = site_new(1, 30000, NULL);
    uint8_t bytes[70000];
    struct frame frame;
    site_shake(s, TAG_BINARY);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    static const size_t sizes[] = {1, 125, 126, 65535, 65536, 70000};
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(site_send(s, bytes, sizes[i]), sizes[i]);
        UNTIL(s, 5000, client_take(s, &frame));
        cr_assert_eq(frame.len, sizes[i]);
        cr_assert_eq(frame.first, FIN | BINARY);
        cr_assert(memcmp(frame.at, bytes, sizes[i]) == 0);
    }
    struct iovec three[] = {{bytes, 10}, {NULL, 0}, {bytes + 10, 20}};
    cr_assert_eq(s->t->ops->send(s->t, s->stream, three, 3), 30);
    UNTIL(s, 5000, client_take(s, &frame) && s->t->ops->released(s->t, s->stream) == s->sent + 30);
    cr_assert_eq(frame.len, 30);
    cr_assert(memcmp(frame.at, bytes, 30) == 0);
    cr_assert_eq(s->t->ops->send(s->t, s->stream, three + 1, 1), 0);
    for (unsigned i = 0; i < 100; i++)
        site_both(s, 5000);
    cr_assert(!client_take(s, &frame), "a frame of nothing");
    site_free(s);
}

/* What the network only points to is released when it has arrived, and the owner hears of it. */
Test(transport_ws, what_is_released_later_is_told)
{
    unsigned later = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct site *s = site_new(seed, 30000, NULL);
        s->take_none = true;
        site_shake(s, TAG_BINARY);
        cr_assert_eq(site_send(s, "lent", 4), 4);
        s->wants = s->t->ops->released(s->t, s->stream) == 4;
        later += !s->wants;
        UNTIL(s, 5000, s->t->ops->released(s->t, s->stream) == 4 && s->wants);
        site_free(s);
    }
    cr_assert(later && later < SEEDS);
}

Test(transport_ws, texts_are_answered_by_texts)
{
    struct site *s = site_new(2, 30000, NULL);
    struct frame frame;
    static const struct {
        uint8_t asked;
        const char *said;
        uint8_t answer;
    } talks[] = {
        {BINARY, "hello", BINARY}, {TEXT, "hello", TEXT},          {TEXT, "gr\xc3\xbc\xc3\x9f", TEXT},
        {TEXT, "\xff", BINARY},    {TEXT, "half \xc3", BINARY},    {BINARY, "gr\xc3\xbc\xc3\x9f", BINARY},
        {TEXT, "\n", TEXT},        {TEXT, "\xed\xa0\x80", BINARY},
    };
    s->any = s->take_all = true;
    site_shake(s, TAG_ANY);
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        client_frame(s, FIN | talks[i].asked, "x", 1);
        UNTIL(s, 5000, s->received == i + 1);
        cr_assert_eq(site_send(s, talks[i].said, strlen(talks[i].said)), strlen(talks[i].said));
        UNTIL(s, 5000, client_take(s, &frame));
        cr_assert_eq(frame.first, FIN | talks[i].answer, "talk %zu", i);
        cr_assert_eq(frame.len, strlen(talks[i].said));
    }
    site_free(s);
}

Test(transport_ws, a_paused_stream_is_not_read_from_and_loses_nothing)
{
    enum { BYTES = 600000 };
    struct site *s = site_new(3, 9000, NULL);
    size_t out = 0;
    s->keep_paused = true;
    site_shake(s, TAG_BINARY);
    while (out < BYTES)
        out = give(s, out, BYTES);
    for (unsigned i = 0; i < 3000; i++)
        site_both(s, 5000);
    cr_assert(s->paused);
    cr_assert_lt(s->received, 20000);
    cr_assert_lt(s->out.from, s->out.len, "all has been taken");
    s->keep_paused = false;
    UNTIL(s, 5000, s->received == BYTES);
    site_free(s);
}

Test(transport_ws, an_end_behind_data_waits_for_who_is_paused)
{
    struct site *s = site_new(4, 9000, NULL);
    struct frame frame;
    s->keep_paused = true;
    site_shake(s, TAG_BINARY);
    for (size_t out = 0; out < 15000;)
        out = give(s, out, 15000);
    client_frame(s, FIN | CLOSE, "\x03\xe8 bye", 6);
    for (unsigned i = 0; i < 500; i++)
        site_both(s, 5000);
    cr_assert(s->paused && !s->closed);
    s->keep_paused = false;
    s->take_all = true;
    UNTIL(s, 5000, s->closed);
    cr_assert_eq(s->error, 0);
    cr_assert_eq(s->received, 15000);
    UNTIL(s, 5000, client_take(s, &frame) && frame.first == (FIN | CLOSE));
    cr_assert_eq(close_code(&frame), 1000);
    UNTIL(s, 5000, sim_state(s->network, s->client_id) == SIM_ENDED);
    site_free(s);
}

Test(transport_ws, with_every_chunk_lent_reading_waits)
{
    static uint8_t bytes[60000];
    struct site *s = site_new(6, 60000, NULL);
    size_t stuck = 0, out = 0;
    s->lend = s->take_all = s->any = true;
    site_shake(s, TAG_BINARY);
    for (unsigned i = 0, still = 0; still < 300 && i < 100000; i++) {
        size_t before = s->received;
        if (s->out.len == s->out.from) {
            s->out.len = s->out.from = s->got.len = 0;
            client_frame(s, FIN | BINARY, bytes, sizeof bytes);
            out += sizeof bytes;
        }
        site_both(s, 60000);
        still = s->received == before ? still + 1 : 0;
    }
    stuck = s->received;
    cr_assert_lt(stuck, out);
    cr_assert_leq(stuck, RX_CHUNKS * RX_CHUNK_BYTES);
    s->lend = false;
    UNTIL(s, 60000, s->received == out);
    site_free(s);
}

Test(transport_ws, a_client_that_does_not_read_holds_back_only_its_own_sending)
{
    struct site *s = site_new(7, 9000, NULL);
    unsigned pongs = 0;
    site_shake(s, TAG_BINARY);
    sim_deafen(s->network, s->client_id, true);
    s->to_send = 64 * MIB;
    for (unsigned i = 0; i < 3000; i++)
        site_both(s, 5000);
    cr_assert(!s->wants);
    cr_assert_lt(s->sent, MIB);
    size_t lent = 0;
    for (struct loan *loan = s->loans; loan; loan = loan->next)
        lent += loan->len;
    cr_assert_eq(s->given_back + lent, s->sent);
    s->to_send = s->sent + 100000;
    sim_deafen(s->network, s->client_id, false);
    size_t in = 0;
    for (unsigned i = 0; in < s->to_send && i < 100000; i++) {
        site_both(s, 5000);
        in = take(s, in, &pongs);
    }
    cr_assert_eq(in, s->to_send);
    site_free(s);
}

Test(transport_ws, pings_of_who_does_not_read_are_not_hoarded)
{
    enum { PINGS = 300000 };
    static uint8_t payload[125];
    struct site *s = site_new(8, 30000, NULL);
    struct ws *ws = (struct ws *)s->t;
    struct frame frame;
    unsigned pongs = 0;
    site_shake(s, TAG_BINARY);
    sim_deafen(s->network, s->client_id, true);
    for (unsigned i = 0; i < PINGS / 1000; i++) {
        s->out.len = s->out.from = 0;
        for (unsigned j = 0; j < 1000; j++) {
            memcpy(payload, &(uint32_t){i * 1000 + j}, 4);
            client_frame(s, FIN | PING, payload, sizeof payload);
        }
        UNTIL(s, 30000, s->out.from == s->out.len);
    }
    for (unsigned i = 0; i < 100; i++)
        site_both(s, 5000);
    const struct ws_stream *stream = slots_get(&ws->streams, s->stream);
    cr_assert_lt(output_held(&stream->out), 2 * WS_PONGS_BYTES);
    sim_deafen(s->network, s->client_id, false);
    for (unsigned i = 0; i < 500; i++)
        site_both(s, 5000);
    for (; client_take(s, &frame); pongs++) {
        cr_assert_eq(frame.first, FIN | PONG);
        cr_assert_eq(frame.len, sizeof payload);
    }
    uint32_t last;
    memcpy(&last, frame.at, 4);
    cr_assert_lt(pongs, PINGS / 10);
    cr_assert_eq(last, PINGS - 1, "the latest ping must be answered");
    site_free(s);
}

Test(transport_ws, a_stream_that_is_cut_off_is_told_from_one_that_ended)
{
    for (unsigned cut = 0; cut < 3; cut++) {
        struct site *s = site_new(9, 9000, NULL);
        s->take_all = true;
        site_shake(s, TAG_BINARY);
        client_frame(s, FIN | BINARY, (uint8_t[]){pattern(0)}, 1);
        UNTIL(s, 5000, s->received == 1);
        if (cut == 0)
            client_frame(s, FIN | CLOSE, "", 0);
        for (unsigned i = 0; i < 50; i++)
            site_both(s, 5000);
        if (cut == 1)
            sim_close(s->network, s->client_id);
        if (cut == 2)
            sim_reset(s->network, s->client_id);
        UNTIL(s, 5000, s->closed);
        cr_assert_eq(s->error, cut == 0 ? 0 : cut == 1 ? EPROTO : ECONNRESET);
        site_free(s);
    }
}

/* Both say what must come behind all that was sent, and then wait for the peer's. */
Test(transport_ws, closing_takes_leave)
{
    for (unsigned stop = 0; stop < 2; stop++) {
        struct site *s = site_new(10 + stop, 9000, NULL);
        struct frame frame;
        size_t in = 0;
        unsigned pongs = 0;
        s->to_send = 30000;
        site_shake(s, TAG_BINARY);
        UNTIL(s, 5000, s->sent == s->to_send);
        if (stop)
            s->t->ops->stop_listening(s->t);
        s->t->ops->close(s->t, s->stream);
        s->keep_paused = true;
        client_frame(s, FIN | BINARY, "thrown away", 11);
        client_frame(s, FIN | PING, "nobody answers", 14);
        while (in < s->to_send) {
            UNTIL(s, 5000, client_take(s, &frame));
            in += frame.len;
            pongs += frame.first != (FIN | BINARY);
        }
        UNTIL(s, 5000, client_take(s, &frame));
        cr_assert_eq(pongs, 0);
        cr_assert_eq(frame.first, FIN | CLOSE);
        cr_assert_eq(close_code(&frame), stop ? 1001 : 1000);
        client_frame(s, FIN | PING, "nor now", 7);
        for (unsigned i = 0; i < 100; i++)
            site_both(s, 5000);
        cr_assert(!s->closed);
        cr_assert_eq(sim_state(s->network, s->client_id), SIM_OPEN, "the peer's leave was not waited for");
        client_frame(s, FIN | CLOSE, "\x03\xe8", 2);
        UNTIL(s, 5000, s->closed && sim_state(s->network, s->client_id) == SIM_ENDED);
        cr_assert_eq(s->error, 0);
        sim_close(s->network, s->client_id);
        UNTIL(s, 5000, s->t->ops->released(s->t, s->stream) == UINT64_MAX);
        cr_assert(!client_take(s, &frame), "something stands behind the close frame");
        site_free(s);
    }
}

Test(transport_ws, abort_is_at_once_and_without_a_word)
{
    struct site *s = site_new(31, 9000, NULL);
    site_shake(s, TAG_BINARY);
    s->to_send = 50000;
    UNTIL(s, 5000, s->sent == s->to_send);
    s->t->ops->abort(s->t, s->stream);
    s->keep_paused = true;
    for (unsigned i = 0; i < 100; i++)
        site_both(s, 5000);
    cr_assert(!s->closed);
    cr_assert_eq(s->t->ops->released(s->t, s->stream), UINT64_MAX);
    cr_assert_eq(sim_state(s->network, s->client_id), SIM_RESET);
    site_free(s);
}

Test(transport_ws, a_close_that_the_peer_does_not_take_or_answer_is_given_up)
{
    for (unsigned deaf = 0; deaf < 2; deaf++) {
        struct site *s = site_new(32 + deaf, 9000, NULL);
        site_shake(s, TAG_BINARY);
        sim_deafen(s->network, s->client_id, deaf);
        s->to_send = deaf ? 64 * MIB : 100;
        for (unsigned i = 0; i < 3000; i++)
            site_both(s, 5000);
        s->t->ops->close(s->t, s->stream);
        s->to_send = s->sent;
        s->keep_paused = true;
        for (unsigned i = 0; !s->closed && i < 11000; i++)
            site_turn(s);
        cr_assert(s->closed);
        cr_assert_eq(s->error, ETIMEDOUT);
        site_free(s);
    }
}

/* Two streams with rests take turns at single bytes of a header: the rests must not go from chunk to chunk.
 */
Test(transport_ws, half_a_header_takes_no_chunk)
{
    static uint8_t zeros[RX_REST_MAX / 2];
    struct site *s = site_new(40, 60000, NULL);
    uint64_t id[2];
    s->take_none = s->lend = true;
    for (unsigned i = 0; i < 2; i++) {
        site_shake(s, TAG_BINARY);
        id[i] = s->client_id;
        client_frame(s, FIN | BINARY, zeros, sizeof zeros);
        UNTIL(s, 60000, s->offered == sizeof zeros);
        s->offered = 0;
    }
    struct buffer *out = &s->out;
    out->len = out->from = 0;
    for (unsigned n = 0; n < 900; n++) { /* pings and pongs without end, in single bytes */
        s->client_id = id[n % 2];
        if (n % 12 == 0)
            client_frame(s, FIN | PONG, NULL, 0), client_frame(s, FIN | PONG, NULL, 0);
        sim_write(s->network, id[n % 2], span_of(out->at + n / 12 * 12 + n % 12 / 2, 1));
        site_turn(s);
    }
    cr_assert_eq(s->offered, 0);
    cr_assert_eq(((struct ws *)s->t)->rx.free_count, RX_CHUNKS - 1 - (sizeof zeros * 2 > RX_CHUNK_BYTES));
    site_free(s);
}

Test(transport_ws, an_idle_stream_costs_little)
{
    struct site *s = site_new(41, 9000, NULL);
    struct ws *ws = (struct ws *)s->t;
    unsigned pongs = 0;
    s->to_send = 10000;
    s->take_all = true;
    site_shake(s, TAG_BINARY);
    give(s, 0, 1000);
    UNTIL(s, 5000, s->out.from == s->out.len && take(s, 0, &pongs) < 1 && s->sent == 10000);
    UNTIL(s, 5000, s->t->ops->released(s->t, s->stream) == 10000);
    for (unsigned i = 0; i < 100; i++)
        site_both(s, 5000);
    const struct ws_stream *stream = slots_get(&ws->streams, s->stream);
    cr_assert(!stream->reader && !stream->hello && !stream->pong && !stream->rest.stash &&
              !stream->out.open && !stream->out.pieces.rows);
    cr_assert_leq(sizeof *stream, 448, "%zu bytes", sizeof *stream);
    site_free(s);
}
