/* The negotiation, its failures, its time limits, heartbeats. */
#include <criterion/criterion.h>

#include "amqp_client.h"
#include "codec/amqp/amqp.h"

#define SECOND 1000000000ull

static void header(struct client *c)
{
    client_bytes(c, span_of("AMQP\0\0\x09\x01", 8));
}

static void login(struct client *c, const char *mechanism, const void *response, size_t len)
{
    CALL(c, 0, CONNECTION_START_OK, .mechanism = text(mechanism), .response = str(span_of(response, len)),
         .locale = text("en_US"));
}

static struct client *tuned(void)
{
    struct client *c = client_new();
    header(c);
    login(c, "PLAIN", "\0guest\0guest", 12);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_START);
    client_expect(c, 0, METHOD_CONNECTION_TUNE);
    return c;
}

static bool logged(const struct client *c, const char *what)
{
    return c->host->log.len && memmem(c->host->log.at, c->host->log.len, what, strlen(what));
}

Test(amqp_handshake, byte_by_byte)
{
    struct client *c = client_new();
    c->split = SPLIT_BYTES;
    client_connect(c);
    cr_assert(!c->host->closed);
    client_free(c);
}

Test(amqp_handshake, a_login_that_takes_a_while)
{
    struct client *c = client_new();
    c->host->login_waits = true;
    header(c);
    login(c, "PLAIN", "\0guest\0guest", 12);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_START);
    cr_assert(c->input.len, "start-ok comes again");
    cr_assert(!c->host->closed);
    c->host->login_waits = false;
    c->shown = 0;
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_TUNE);
    cr_assert(!c->input.len);
    client_free(c);
}

Test(amqp_handshake, who_goes_during_his_login)
{
    struct client *c = client_new();
    c->host->login_waits = true;
    header(c);
    login(c, "PLAIN", "\0guest\0guest", 12);
    client_run(c);
    client_free(c);
}

Test(amqp_handshake, server_properties)
{
    struct client *c = client_new();
    header(c);
    client_run(c);
    struct reply reply = client_expect(c, 0, METHOD_CONNECTION_START);
    const struct args_CONNECTION_START *m = (const void *)reply.args;
    cr_assert_eq(m->version_major.n, 0);
    cr_assert_eq(m->version_minor.n, 9);
    cr_assert(span_is(m->mechanisms.s, "PLAIN AMQPLAIN"));
    cr_assert(span_is(m->locales.s, "en_US"));
    client_free(c);
}

static void wrong_start(const void *bytes, size_t len)
{
    for (size_t split = 1; split <= len; split += len - 1) {
        struct client *c = client_new();
        c->split = split == 1 ? SPLIT_BYTES : SPLIT_NOT;
        client_bytes(c, span_of(bytes, len));
        client_run(c);
        cr_assert(c->host->closed);
        cr_assert_eq(c->host->output.len, 8);
        cr_assert_eq(memcmp(c->host->output.at, "AMQP\0\0\x09\x01", 8), 0);
        client_free(c);
    }
}

Test(amqp_handshake, other_protocols)
{
    wrong_start("AMQP\0\0\x09\x00", 8);
    wrong_start("AMQP\0\1\0\0", 8);
    wrong_start("AMQP\1\1\0\x0a", 8);
    wrong_start("GET / HTTP/1.1\r\n", 16);
    wrong_start("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
}

static bool login_as(bool trusted, const char *mechanism, const void *response, size_t len)
{
    struct client *c = client_new();
    struct reply reply;
    c->host->trusted = trusted;
    header(c);
    login(c, mechanism, response, len);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_START);
    bool works = client_reply(c, &reply) && reply.method == METHOD_CONNECTION_TUNE;
    cr_assert_eq(works, !c->host->closed);
    client_free(c);
    return works;
}

static bool login_works(const char *mechanism, const void *response, size_t len)
{
    return login_as(false, mechanism, response, len);
}

Test(amqp_handshake, who_is_trusted_says_who_he_is)
{
    char long_name[300];
    memset(long_name, 'u', sizeof long_name);
    cr_assert(login_as(true, "EXTERNAL", "guest", 5));
    cr_assert(login_as(true, "PLAIN", "\0guest\0guest", 12));
    cr_assert(!login_as(false, "EXTERNAL", "guest", 5));
    cr_assert(!login_as(true, "EXTERNAL", "nobody", 6));
    cr_assert(!login_as(true, "EXTERNAL", "", 0));
    cr_assert(!login_as(true, "EXTERNAL", long_name, sizeof long_name));
    cr_assert(!login_as(true, "PLAIN", "\0guest\0wrong", 12));
}

Test(amqp_handshake, logins)
{
    static const char amqplain[] = "\5LOGINS\0\0\0\5guest\10PASSWORDS\0\0\0\5guest";
    cr_assert(login_works("PLAIN", "\0guest\0guest", 12));
    cr_assert(login_works("PLAIN", "other\0guest\0guest", 17));
    cr_assert(login_works("AMQPLAIN", amqplain, sizeof amqplain - 1));
    cr_assert(!login_works("PLAIN", "\0guest\0wrong", 12));
    cr_assert(!login_works("PLAIN", "\0guest", 6));
    cr_assert(!login_works("PLAIN", "guest", 5));
    cr_assert(!login_works("PLAIN", "", 0));
    cr_assert(!login_works("AMQPLAIN", amqplain, sizeof amqplain - 2));
    cr_assert(!login_works("AMQPLAIN", "", 0));
    cr_assert(!login_works("EXTERNAL", "", 0));
}

Test(amqp_handshake, a_user_name_that_is_too_long)
{
    char response[400];
    memset(response, 'u', sizeof response);
    response[0] = response[350] = 0;
    cr_assert(!login_works("PLAIN", response, sizeof response));
}

static void tune(uint64_t channel_max, uint64_t frame_max, const char *what)
{
    struct client *c = tuned();
    CALL(c, 0, CONNECTION_TUNE_OK, num(channel_max), num(frame_max), num(0));
    CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("/"));
    client_run(c);
    if (what) {
        client_expect_close(c, 0, 530, what);
        cr_assert(!c->host->closed);
        CALL(c, 0, CONNECTION_CLOSE_OK);
        client_run(c);
        cr_assert(c->host->closed);
    } else {
        client_expect(c, 0, METHOD_CONNECTION_OPEN_OK);
    }
    client_free(c);
}

Test(amqp_handshake, tunes)
{
    tune(0, 0, NULL);
    tune(1, 4096, NULL);
    tune(2047, 131072, NULL);
    tune(2048, 131072,
         "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047)");
    tune(2047, 131073,
         "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072)");
    tune(2047, 4095,
         "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)");
}

Test(amqp_handshake, unknown_virtual_host)
{
    struct client *c = tuned();
    CALL(c, 0, CONNECTION_TUNE_OK, num(0), num(0), num(0));
    CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("moon"));
    client_run(c);
    client_expect_close(c, 0, 530, "NOT_ALLOWED - vhost moon not found");
    client_free(c);
}

Test(amqp_handshake, what_status_shows)
{
    static const char properties[] = "\7productS\0\0\0\4pika\xf"
                                     "connection_nameS\0\0\0\5trade";
    static const char said[] = "describe AMQP 0-9-1 user guest vhost / client trade\n";
    for (size_t len = 17; len < sizeof properties; len += sizeof properties - 1 - 17) {
        struct client *c = client_new();
        header(c);
        CALL(c, 0, CONNECTION_START_OK, .client_properties = str(span_of(properties, len)),
             .mechanism = text("PLAIN"), .response = str(span_of("\0guest\0guest", 12)));
        CALL(c, 0, CONNECTION_TUNE_OK, num(0), num(0), num(0));
        if (len > 17)
            CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("/"));
        client_run(c);
        cr_assert_eq(c->host->transcript.len, len > 17 ? sizeof said - 1 : 0);
        if (len > 17)
            cr_assert_eq(memcmp(c->host->transcript.at, said, sizeof said - 1), 0);
        client_free(c);
    }
}

/* Every method at every step: nothing but the one that is awaited goes further, and nothing breaks. */
Test(amqp_handshake, every_method_too_early)
{
    for (int step = 0; step < 3; step++)
        for (enum method method = METHOD_NONE + 1; method < METHODS; method++)
            for (uint16_t channel = 0; channel < 2; channel++) {
                union value args[METHOD_FIELDS_MAX];
                struct client *c = client_new();
                memset(args, 0, sizeof args);
                header(c);
                if (step > 0)
                    login(c, "PLAIN", "\0guest\0guest", 12);
                if (step > 1)
                    CALL(c, 0, CONNECTION_TUNE_OK, num(0), num(0), num(0));
                client_method(c, channel, method, args);
                client_run(c);
                cr_assert(c->host->publishes == 0 && c->host->ops == 0);
                client_free(c);
            }
}

Test(amqp_handshake, a_frame_larger_than_before_tune)
{
    struct client *c = client_new();
    uint8_t head[7];
    header(c);
    put_frame_head(head, FRAME_METHOD, 0, 8192);
    client_bytes(c, span_of(head, sizeof head));
    client_run(c);
    cr_assert(c->host->closed);
    client_free(c);
}

/* ---- time
 * ---------------------------------------------------------------------------------------------------------
 */

static void at(struct client *c, uint64_t now_ns)
{
    c->host->now_ns = now_ns;
    codec_amqp.tick(c->state, c->host);
    codec_amqp.flush(c->state, c->host);
}

Test(amqp_handshake, takes_too_long)
{
    struct client *c = client_new();
    cr_assert_eq(c->host->wake_ns, c->host->now_ns + 10 * SECOND);
    header(c);
    client_run(c);
    at(c, c->host->wake_ns);
    cr_assert(c->host->closed);
    cr_assert(logged(c, "handshake timeout"));
    client_free(c);
}

static struct client *with_heartbeat(uint16_t seconds)
{
    struct client *c = tuned();
    CALL(c, 0, CONNECTION_TUNE_OK, num(0), num(0), num(seconds));
    CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("/"));
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_OPEN_OK);
    return c;
}

Test(amqp_handshake, heartbeats_are_sent_when_idle)
{
    struct client *c = with_heartbeat(10);
    struct reply reply;
    uint64_t start = c->host->now_ns;
    cr_assert_eq(c->host->wake_ns, start + 5 * SECOND);
    at(c, start + 5 * SECOND);
    cr_assert(client_reply(c, &reply) && reply.type == FRAME_HEARTBEAT && reply.channel == 0 &&
              !reply.payload.len);
    at(c, start + 6 * SECOND);
    cr_assert(client_silent(c));
    cr_assert_eq(c->host->wake_ns, start + 10 * SECOND);
    /* Anything else that is written will do as well. */
    c->host->now_ns = start + 9 * SECOND;
    CALL(c, 1, CHANNEL_OPEN);
    client_run(c);
    client_expect(c, 1, METHOD_CHANNEL_OPEN_OK);
    at(c, start + 10 * SECOND);
    cr_assert(client_silent(c));
    client_free(c);
}

Test(amqp_handshake, two_missed_heartbeats)
{
    struct client *c = with_heartbeat(10);
    uint64_t start = c->host->now_ns;
    c->host->now_ns = start + 15 * SECOND;
    client_frame(c, FRAME_HEARTBEAT, 0, span_of(NULL, 0));
    client_run(c);
    at(c, start + 34 * SECOND);
    cr_assert(!c->host->closed);
    at(c, start + 35 * SECOND);
    cr_assert(c->host->closed);
    cr_assert(logged(c, "missed heartbeats"));
    client_free(c);
}

Test(amqp_handshake, a_peer_that_takes_output_is_alive)
{
    struct client *c = with_heartbeat(10);
    uint64_t start = c->host->now_ns;
    c->host->backlog = 2000000;
    at(c, start + 10 * SECOND);
    c->host->backlog = 1000000;
    at(c, start + 19 * SECOND);
    at(c, start + 38 * SECOND);
    cr_assert(!c->host->closed);
    at(c, start + 39 * SECOND);
    cr_assert(c->host->closed);
    client_free(c);
}

Test(amqp_handshake, no_heartbeats)
{
    struct client *c = with_heartbeat(0);
    cr_assert_eq(c->host->wake_ns, 0);
    client_free(c);
}

/* ---- the end
 * -------------------------------------------------------------------------------------------------------- */

Test(amqp_handshake, shutdown)
{
    struct client *c = with_heartbeat(0);
    codec_amqp.shutdown(c->state, c->host, "shutdown");
    client_expect_close(c, 0, 320,
                        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'");
    cr_assert(!c->host->closed);
    at(c, c->host->wake_ns);
    cr_assert(c->host->closed);
    client_free(c);

    c = client_new();
    codec_amqp.shutdown(c->state, c->host, "shutdown");
    cr_assert(c->host->closed && client_silent(c));
    client_free(c);
}

Test(amqp_handshake, blocked_only_if_the_client_knows_it)
{
    struct client *c = with_heartbeat(0);
    codec_amqp.blocked(c->state, c->host, "low on disk");
    cr_assert(client_silent(c));
    client_free(c);

    c = client_new();
    client_connect(c);
    codec_amqp.blocked(c->state, c->host, "low on disk");
    codec_amqp.blocked(c->state, c->host, "low on disk");
    struct reply reply = client_expect(c, 0, METHOD_CONNECTION_BLOCKED);
    cr_assert(span_is(reply.args[0].s, "low on disk"));
    codec_amqp.blocked(c->state, c->host, NULL);
    client_expect(c, 0, METHOD_CONNECTION_UNBLOCKED);
    codec_amqp.blocked(c->state, c->host, NULL);
    cr_assert(client_silent(c));
    client_free(c);
}

Test(amqp_handshake, update_secret)
{
    struct client *c = with_heartbeat(0);
    CALL(c, 0, CONNECTION_UPDATE_SECRET, .new_secret = text("x"), .reason = text("y"));
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_UPDATE_SECRET_OK);
    client_free(c);
}

Test(amqp_handshake, nothing_is_heard_after_the_close)
{
    struct client *c = with_heartbeat(0);
    CALL(c, 0, CONNECTION_CLOSE);
    CALL(c, 1, CHANNEL_OPEN);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_CLOSE_OK);
    cr_assert(c->host->closed && client_silent(c));
    client_free(c);
}
