/* What TLS carries, and how its streams end: cut up, delayed and lent from, over many seeds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tls_site.h"
#include "transport/rx.h"
#include "transport/tls_inside.h"

enum { SEEDS = 12 };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

Test(transport_tls, carries_every_byte_both_ways)
{
    enum { BYTES = 400000 };
    struct tls_files *files = tls_files_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct site *s = site_new(files, seed, seed % 3 ? 30000 : 100, "none");
        struct tls_client *c = tls_client_new(files->certificate, versions[seed % 2], NULL, NULL);
        size_t out = 0, in = 0;
        s->to_send = BYTES;
        s->take_all = seed % 4 == 3;
        site_shake(s, c, 5000);
        for (unsigned i = 0; (in < BYTES || s->received < BYTES) && i < 200000; i++) {
            out = site_give(c, out, BYTES);
            site_both(s, c, 5000);
            in = site_take(c, in);
        }
        cr_assert_eq(in, BYTES, "%zu came, seed %u", in, (unsigned)seed);
        cr_assert_eq(s->received, BYTES, "%zu came, seed %u", s->received, (unsigned)seed);
        cr_assert(!s->closed);
        s->t->ops->close(s->t, s->stream);
        s->keep_paused = true;
        for (unsigned i = 0; !c->ended && i < 10000; i++) {
            site_both(s, c, 5000);
            site_take(c, in);
        }
        cr_assert(c->ended, "no close_notify");
        sim_close(s->network, s->client_id);
        UNTIL(s, c, 5000, s->closed);
        cr_assert_eq(s->error, 0);
        cr_assert_gt(((struct tls *)s->t)->pool.count, 0, "no chunk is kept for the next to send");
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

Test(transport_tls, a_paused_stream_is_not_read_from_and_loses_nothing)
{
    enum { BYTES = 300000 };
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 3, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    size_t out = 0;
    s->keep_paused = true;
    site_shake(s, c, 5000);
    for (unsigned i = 0; i < 3000; i++) {
        out = site_give(c, out, BYTES);
        site_both(s, c, 5000);
    }
    cr_assert(s->paused);
    cr_assert_lt(s->received, 20000);
    s->keep_paused = false;
    for (unsigned i = 0; s->received < BYTES && i < 100000; i++) {
        out = site_give(c, out, BYTES);
        site_both(s, c, 5000);
    }
    cr_assert_eq(s->received, BYTES);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, an_end_behind_data_waits_for_who_is_paused)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 4, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    s->keep_paused = true;
    site_shake(s, c, 5000);
    size_t out = site_give(c, 0, 15000);
    SSL_shutdown(c->ssl);
    for (unsigned i = 0; i < 500; i++)
        site_both(s, c, 5000);
    cr_assert(s->paused && !s->closed);
    s->keep_paused = false;
    s->take_all = true;
    UNTIL(s, c, 5000, s->closed);
    cr_assert_eq(s->error, 0);
    cr_assert_eq(out, 15000);
    cr_assert_eq(s->received, 15000);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, with_every_chunk_lent_reading_waits)
{
    static const size_t BYTES = 40 * MIB;
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 6, 60000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    size_t out = 0, stuck = 0;
    s->lend = s->take_all = true;
    site_shake(s, c, 60000);
    for (unsigned i = 0, still = 0; still < 300 && i < 100000; i++) {
        size_t before = s->received;
        out = site_give(c, out, BYTES);
        site_both(s, c, 60000);
        still = s->received == before ? still + 1 : 0;
    }
    stuck = s->received;
    cr_assert_lt(stuck, BYTES);
    cr_assert_leq(stuck, RX_CHUNKS * RX_CHUNK_BYTES);
    s->lend = false;
    for (unsigned i = 0; s->received < stuck + MIB && i < 10000; i++) {
        out = site_give(c, out, BYTES);
        site_both(s, c, 60000);
    }
    cr_assert_geq(s->received, stuck + MIB);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, a_client_that_does_not_read_holds_back_only_its_own_sending)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 7, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    site_shake(s, c, 5000);
    sim_deafen(s->network, s->client_id, true);
    s->to_send = 64 * MIB;
    for (unsigned i = 0; i < 3000; i++)
        site_both(s, c, 5000);
    cr_assert(!s->wants);
    cr_assert_lt(s->sent, MIB);
    s->to_send = s->sent + 100000;
    sim_deafen(s->network, s->client_id, false);
    size_t in = 0;
    for (unsigned i = 0; in < s->to_send && i < 100000; i++) {
        site_both(s, c, 5000);
        in = site_take(c, in);
    }
    cr_assert_eq(in, s->to_send);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, a_stream_that_is_cut_off_is_told_from_one_that_ended)
{
    struct tls_files *files = tls_files_new();
    for (unsigned cut = 0; cut < 3; cut++) {
        struct site *s = site_new(files, 8, 9000, "none");
        struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
        s->take_all = true;
        site_shake(s, c, 5000);
        site_give(c, 0, 100);
        UNTIL(s, c, 5000, s->received == 100);
        if (cut == 0)
            SSL_shutdown(c->ssl);
        for (unsigned i = 0; i < 50; i++)
            site_both(s, c, 5000);
        if (cut == 1)
            sim_close(s->network, s->client_id);
        if (cut == 2)
            sim_reset(s->network, s->client_id);
        UNTIL(s, c, 5000, s->closed);
        cr_assert_eq(s->error, cut == 0 ? 0 : cut == 1 ? EPROTO : ECONNRESET);
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

Test(transport_tls, records_that_are_changed_on_their_way_end_the_stream)
{
    struct tls_files *files = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        struct site *s = site_new(files, 9 + v, 9000, "none");
        struct tls_client *c = tls_client_new(files->certificate, versions[v], NULL, NULL);
        s->take_all = true;
        site_shake(s, c, 5000);
        site_give(c, 0, 1000);
        UNTIL(s, c, 5000, s->received == 1000);
        site_give(c, 1000, 2000);
        c->unsent_len = (size_t)BIO_read(c->out, c->unsent, sizeof c->unsent);
        c->unsent[500] ^= 1;
        UNTIL(s, c, 5000, s->closed);
        cr_assert_eq(s->error, EPROTO);
        cr_assert_eq(s->received, 1000);
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

Test(transport_tls, abort_is_at_once_and_without_a_word)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 31, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    site_shake(s, c, 5000);
    s->t->ops->abort(s->t, s->stream);
    cr_assert_eq(s->t->ops->released(s->t, s->stream), UINT64_MAX);
    for (unsigned i = 0; i < 100; i++)
        site_both(s, c, 5000);
    cr_assert(!s->closed);
    cr_assert_eq(sim_state(s->network, s->client_id), SIM_RESET);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, a_close_that_the_peer_does_not_take_is_given_up)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 32, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    site_shake(s, c, 5000);
    sim_deafen(s->network, s->client_id, true);
    s->to_send = 64 * MIB;
    for (unsigned i = 0; i < 3000; i++)
        site_both(s, c, 5000);
    s->t->ops->close(s->t, s->stream);
    s->to_send = s->sent;
    for (unsigned i = 0; !s->closed && i < 11000; i++)
        site_turn(s);
    cr_assert(s->closed);
    cr_assert_eq(s->error, ETIMEDOUT);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

/* Two streams with rests take turns at single bytes of a record: the rests must not go from chunk to chunk.
 */
Test(transport_tls, half_a_record_takes_no_chunk)
{
    static uint8_t zeros[RX_REST_MAX / 2];
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 40, 60000, "none");
    struct tls_client *c[2];
    uint64_t id[2];
    s->take_none = s->lend = true;
    for (unsigned i = 0; i < 2; i++) {
        c[i] = tls_client_new(files->certificate, 0, NULL, NULL);
        site_shake(s, c[i], 5000);
        id[i] = s->client_id;
        for (size_t sent = 0; sent < sizeof zeros;) {
            sent += tls_client_write(c[i], zeros, sizeof zeros - sent < 1000 ? sizeof zeros - sent : 1000);
            site_both(s, c[i], 5000);
        }
        UNTIL(s, c[i], 5000, s->offered == sizeof zeros);
        s->offered = 0;
        cr_assert_eq(tls_client_write(c[i], zeros, 1000), 1000);
    }
    for (unsigned n = 0; n < 900; n++) {
        s->client_id = id[n % 2];
        site_both(s, c[n % 2], 1);
    }
    cr_assert_eq(s->offered, 0);
    s->client_id = id[0];
    UNTIL(s, c[0], 5000, s->offered == sizeof zeros + 1000);
    for (unsigned i = 0; i < 2; i++)
        tls_client_free(c[i]);
    site_free(s);
    tls_files_free(files);
}

Test(transport_tls, over_kernel_sockets)
{
    enum { BYTES = 16 << 20 };
    struct tls_files *files = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        struct site *s = site_new_sockets(files);
        struct tls_client *c = tls_client_new(files->certificate, versions[v], NULL, NULL);
        size_t out = 0, in = 0;
        s->take_all = v;
        site_shake(s, c, SIZE_MAX);
        s->to_send = BYTES;
        for (unsigned i = 0; (in < BYTES || s->received < BYTES) && i < 1000000; i++) {
            for (size_t before = SIZE_MAX; before != out;) {
                before = out;
                out = site_give(c, out, BYTES);
            }
            site_both(s, c, SIZE_MAX);
            in = site_take(c, in);
        }
        cr_assert_eq(in, BYTES);
        cr_assert_eq(s->received, BYTES);
        SSL_shutdown(c->ssl);
        UNTIL(s, c, SIZE_MAX, s->closed);
        cr_assert_eq(s->error, 0);
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}
