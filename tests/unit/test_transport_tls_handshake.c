/* Who is let in by TLS, and who is not. */
#include <criterion/criterion.h>
#include <string.h>

#include "tls_site.h"
#include "transport/tls_tickets.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

Test(transport_tls_handshake, shakes_hands_over_single_bytes)
{
    struct tls_files *files = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        struct site *s = site_new(files, 5 + v, 1, "none");
        struct tls_client *c = tls_client_new(files->certificate, versions[v], NULL, NULL);
        site_shake(s, c, 1);
        size_t out = 0;
        while (out < 300)
            out = site_give(c, out, 300);
        UNTIL(s, c, 1, s->received == 300);
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

/* Sends bytes that are no TLS; the stream must end in an orderly way, without the owner ever hearing of it.
 */
static void refuses(const struct tls_files *files, const void *bytes, size_t n)
{
    struct site *s = site_new(files, n, 9000, "none");
    uint8_t back[1000];
    site_dial(s);
    for (size_t put = 0; put < n; site_turn(s))
        put += sim_write(s->network, s->client_id, span_of((const uint8_t *)bytes + put, n - put));
    for (unsigned i = 0; sim_state(s->network, s->client_id) == SIM_OPEN && i < 1000; i++) {
        site_turn(s);
        sim_read(s->network, s->client_id, back, sizeof back);
    }
    cr_assert_eq(sim_state(s->network, s->client_id), SIM_ENDED);
    cr_assert_eq(s->accepted, 0);
    site_free(s);
}

Test(transport_tls_handshake, what_is_no_tls_is_closed)
{
    struct tls_files *files = tls_files_new();
    uint8_t garbage[500];
    struct prng prng;
    prng_seed(&prng, 1);
    refuses(files, "AMQP\0\0\11\1", 8);
    refuses(files, "GET / HTTP/1.1\r\n\r\n", 18);
    refuses(files, "\x80\x2e\1\3\1", 5);         /* SSL 2's hello */
    refuses(files, "\x16\3\1\xff\xff\1\2\3", 8); /* a record that is too long */
    for (unsigned i = 0; i < 50; i++) {
        for (size_t j = 0; j < sizeof garbage; j++)
            garbage[j] = (uint8_t)prng_next(&prng);
        garbage[0] = i % 2 ? 22 : garbage[0];
        memcpy(garbage + 1, i % 4 == 1 ? "\3\1\0\x40\1" : "\3\3\1\0\1", 5);
        refuses(files, garbage, sizeof garbage);
    }
    tls_files_free(files);
}

Test(transport_tls_handshake, half_handshakes_are_ended_in_time_and_in_number)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 11, 9000, "none");
    uint64_t id[6];
    for (unsigned i = 0; i < 6; i++) {
        id[i] = sim_connect(s->network, "broker:5671");
        for (unsigned j = 0; j < 50; j++)
            site_turn(s);
        sim_write(s->network, id[i], span_of("\x16\3\1", i % 2 ? 3 : 0));
    }
    for (unsigned j = 0; j < 100; j++)
        site_turn(s);
    for (unsigned i = 0; i < 6; i++) /* four are the most */
        cr_assert_eq(sim_state(s->network, id[i]), i < 2 ? SIM_RESET : SIM_OPEN);
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    site_shake(s, c, 5000);
    for (unsigned j = 0; j < HANDSHAKE_MS + 200; j++)
        site_turn(s);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(sim_state(s->network, id[i]), SIM_RESET);
    cr_assert(!s->closed);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

/* TLS 1.3 gives its ticket behind the handshake. */
static void take_ticket(struct site *s, struct tls_client *c)
{
    for (unsigned i = 0; i < 200; i++) {
        site_both(s, c, 5000);
        site_take(c, 0);
    }
}

static bool is_resumed_after(struct site *s, struct tls_client *c, uint64_t seconds)
{
    take_ticket(s, c);
    s->now_ns += seconds * UINT64_C(1000000000);
    s->closed = false;
    tls_client_again(c);
    sim_reset(s->network, s->client_id);
    site_shake(s, c, 5000);
    return SSL_session_reused(c->ssl);
}

Test(transport_tls_handshake, sessions_are_resumed)
{
    struct tls_files *files = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        struct site *s = site_new(files, 12 + v, 9000, v ? "optional" : "none");
        struct tls_client *c =
            tls_client_new(files->certificate, versions[v], v ? files->client : NULL, files->client_key);
        site_shake(s, c, 5000);
        cr_assert(!SSL_session_reused(c->ssl));
        cr_assert(is_resumed_after(s, c, 0));
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

Test(transport_tls_handshake, keys_of_tickets_change)
{
    struct tls_files *files = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        struct site *s = site_new(files, 14 + v, 9000, "none");
        struct tls_client *c = tls_client_new(files->certificate, versions[v], NULL, NULL);
        site_shake(s, c, 5000);
        cr_assert(is_resumed_after(s, c, TLS_TICKET_S));
        cr_assert(is_resumed_after(s, c, TLS_TICKET_S));
        cr_assert(!is_resumed_after(s, c, 2 * TLS_TICKET_S));
        cr_assert(!is_resumed_after(s, c, 1000 * TLS_TICKET_S));
        cr_assert(is_resumed_after(s, c, 1));
        tls_client_free(c);
        site_free(s);
    }
    tls_files_free(files);
}

Test(transport_tls_handshake, keys_of_tickets_are_alike)
{
    struct tls_tickets a, b, c;
    const uint64_t hour = UINT64_C(3600000000000);
    uint8_t name[TLS_TICKET_NAME_BYTES], iv[16];
    cr_assert(tls_tickets_init(&a, NULL, 5 * hour) && tls_tickets_init(&b, &a, 5 * hour) &&
              tls_tickets_init(&c, NULL, 5 * hour));
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac_context = EVP_MAC_CTX_new(mac);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    for (unsigned i = 5; i < 30; i += 1 + i % 7) {
        struct tls_ticket_use use = {name, iv, cipher, mac_context, 1};
        cr_assert_eq(tls_tickets_use(&a, i * hour, &use), 1);
        use.encrypt = 0;
        cr_assert_eq(tls_tickets_use(&b, i * hour, &use), 1);
        cr_assert_eq(tls_tickets_use(&c, i * hour, &use), 0);
    }
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac_context);
    EVP_MAC_free(mac);
}

Test(transport_tls_handshake, another_context_is_for_those_who_come_later)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 17, 9000, "none");
    struct tls_client *old = tls_client_new(files->certificate, 0, NULL, NULL), *c;
    char error[256];
    static const char *const both[] = {"1.2", "1.3"};
    site_shake(s, old, 5000);
    take_ticket(s, old);
    const struct tls_settings other = {.certificate = files->other,
                                       .key = files->other_key,
                                       .ca = "",
                                       .verify = "none",
                                       .versions = both,
                                       .version_count = 2,
                                       .ciphers = ""};
    for (unsigned i = 0; i < 3; i++) /* two of them never come to anything */
        transport_tls_offer(s->t, tls_context_new(&other, NULL, error, sizeof error));
    size_t out = 0;
    while (out < 300)
        out = site_give(old, out, 300);
    UNTIL(s, old, 5000, s->received == 300); /* over what was before */
    sim_reset(s->network, s->client_id);
    c = tls_client_new(files->other, 0, NULL, NULL);
    site_shake(s, c, 5000);
    transport_tls_offer(s->t, tls_context_new(&other, NULL, error, sizeof error)); /* not taken any more */
    tls_client_free(old);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}

static bool lets_in(const struct tls_files *files, const char *verify, int version, const char *certificate,
                    const char *key)
{
    struct site *s = site_new(files, 20, 9000, verify);
    struct tls_client *c = tls_client_new(files->certificate, version, certificate, key);
    site_dial(s);
    for (unsigned i = 0; !s->accepted && i < 500; i++) {
        site_both(s, c, 5000);
        site_take(c, 0);
    }
    bool in = s->accepted;
    cr_assert(in || c->failed, "neither let in nor told");
    tls_client_free(c);
    site_free(s);
    return in;
}

Test(transport_tls_handshake, certificates_are_asked_for)
{
    struct tls_files *f = tls_files_new();
    for (unsigned v = 0; v < 2; v++) {
        cr_assert(lets_in(f, "none", versions[v], f->other, f->other_key));
        cr_assert(lets_in(f, "optional", versions[v], NULL, NULL));
        cr_assert(lets_in(f, "optional", versions[v], f->client, f->client_key));
        cr_assert(!lets_in(f, "optional", versions[v], f->other, f->other_key));
        cr_assert(lets_in(f, "required", versions[v], f->client, f->client_key));
        cr_assert(!lets_in(f, "required", versions[v], NULL, NULL));
        cr_assert(!lets_in(f, "required", versions[v], f->other, f->other_key));
    }
    cr_assert(!lets_in(f, "none", TLS1_1_VERSION, NULL, NULL));
    tls_files_free(f);
}

Test(transport_tls_handshake, a_refused_stream_is_closed)
{
    struct tls_files *files = tls_files_new();
    struct site *s = site_new(files, 30, 9000, "none");
    struct tls_client *c = tls_client_new(files->certificate, 0, NULL, NULL);
    s->refuse = true;
    site_shake(s, c, 5000);
    for (unsigned i = 0; !c->ended && i < 1000; i++) {
        site_both(s, c, 5000);
        site_take(c, 0);
    }
    cr_assert(c->ended);
    tls_client_free(c);
    site_free(s);
    tls_files_free(files);
}
