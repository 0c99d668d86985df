#include "codec/mqtt/incoming.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "mqtt_client.h"

enum { NONE, WAITING, RECEIVED };

/* A model by identifier, and a list of what was sent. */
struct model {
    struct {
        uint16_t id;
        uint8_t qos, waiting;
        bool refused;
    } sent[4000];
    unsigned first, next;
    uint8_t state[16];
    unsigned open;
};

static void add(struct incoming *in, struct model *m, struct prng *prng)
{
    uint16_t id = (uint16_t)prng_below(prng, 16);
    uint8_t qos = (uint8_t)(1 + prng_below(prng, 2)), routers = (uint8_t)(1 + prng_below(prng, 3));
    if (qos == 2 && m->state[id] != NONE)
        return;
    incoming_add(in, id, qos, routers);
    m->sent[m->next].id = id;
    m->sent[m->next].qos = qos;
    m->sent[m->next].waiting = routers;
    m->sent[m->next].refused = false;
    m->next++;
    m->open++;
    if (qos == 2)
        m->state[id] = WAITING;
}

static void confirm(struct incoming *in, struct model *m, struct prng *prng)
{
    unsigned from = m->first + (unsigned)prng_below(prng, 6), n = (unsigned)prng_below(prng, 5);
    bool refused = !prng_below(prng, 6);
    incoming_confirm(in, from + 1, n, refused); /* numbers begin with 1 */
    for (unsigned i = from; i < from + n && i < m->next; i++) {
        m->sent[i].waiting -= m->sent[i].waiting > 0;
        m->sent[i].refused |= refused;
    }
}

static void take(struct incoming *in, struct model *m)
{
    struct publish_in got;
    while (incoming_take(in, &got)) {
        cr_assert_lt(m->first, m->next);
        cr_assert_eq(m->sent[m->first].waiting, 0);
        cr_assert_eq(got.id, m->sent[m->first].id);
        cr_assert_eq(got.qos, m->sent[m->first].qos);
        cr_assert_eq(got.refused, m->sent[m->first].refused);
        bool stays = got.qos == 2 && !got.refused;
        if (got.qos == 2)
            m->state[got.id] = stays ? RECEIVED : NONE;
        m->open -= !stays;
        m->first++;
    }
    cr_assert(m->first == m->next || m->sent[m->first].waiting);
}

static void play(unsigned seed)
{
    struct incoming in;
    struct prng prng;
    struct model *m = calloc(1, sizeof *m);
    cr_assert(m);
    prng_seed(&prng, seed);
    incoming_init(&in);
    for (unsigned step = 0; step < 3000; step++) {
        uint16_t id = (uint16_t)prng_below(&prng, 16);
        switch (prng_below(&prng, 4)) {
        case 0:
            add(&in, m, &prng);
            break;
        case 1:
            confirm(&in, m, &prng);
            break;
        case 2:
            take(&in, m);
            break;
        default:
            cr_assert_eq(incoming_release(&in, id), m->state[id] == RECEIVED);
            m->open -= m->state[id] == RECEIVED;
            m->state[id] = m->state[id] == RECEIVED ? NONE : m->state[id];
        }
        cr_assert_eq(incoming_has(&in, id), m->state[id] != NONE);
        cr_assert_eq(incoming_received(&in, id), m->state[id] == RECEIVED);
        cr_assert_eq(in.open, m->open);
    }
    incoming_free(&in);
    free(m);
}

Test(mqtt_incoming, it_does_as_a_list_does, .timeout = 60)
{
    for (unsigned seed = 0; seed < 40; seed++)
        play(seed);
}

/* ---- and what the codec makes of it ---------------------------------------------------------------- */

static struct client *connected(void)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, false);
    return client;
}

Test(mqtt_incoming, more_than_the_receive_maximum_is_refused)
{
    struct client *client = connected();
    for (unsigned i = 1; i <= RECEIVE_MAX; i++)
        client_publish(client, "a", 1, (uint16_t)i, SPAN(""), SPAN("x"));
    cr_assert(client_silent(client));
    client_publish(client, "a", 0, 0, SPAN(""), SPAN("QoS 0 doesn't count"));
    cr_assert(client_silent(client) && !client->host->closed);
    client_publish(client, "a", 1, RECEIVE_MAX + 1, SPAN(""), SPAN("x"));
    client_expect_end(client, REASON_RECEIVE_MAXIMUM);
    client_free(client);
}

Test(mqtt_incoming, what_was_refused_is_a_new_message_when_it_comes_again)
{
    struct client *client = connected();
    client_publish(client, "a", 2, 7, SPAN(""), SPAN("x"));
    client_confirm(client, 1, 1, CONFIRM_REFUSED);
    client_expect_answer(client, PACKET_PUBREC, 7, REASON_QUOTA);
    client_publish(client, "a", 2, 7, SPAN(""), SPAN("x"));
    cr_assert_eq(client->host->publishes, 2);
    client_confirm(client, 2, 1, 0);
    client_expect_answer(client, PACKET_PUBREC, 7, REASON_SUCCESS);
    client_publish(client, "a", 2, 7, SPAN(""), SPAN("x"));
    client_expect_answer(client, PACKET_PUBREC, 7, REASON_SUCCESS);
    cr_assert_eq(client->host->publishes, 2);
    client_free(client);
}

Test(mqtt_incoming, what_comes_again_before_it_was_confirmed_is_answered_once)
{
    struct client *client = connected();
    client_publish(client, "a", 2, 7, SPAN(""), SPAN("x"));
    client_publish(client, "a", 2, 7, SPAN(""), SPAN("x"));
    cr_assert_eq(client->host->publishes, 1);
    client_confirm(client, 1, 1, 0);
    client_expect_answer(client, PACKET_PUBREC, 7, REASON_SUCCESS);
    cr_assert(client_silent(client));
    client_free(client);
}

Test(mqtt_incoming, answers_wait_for_all_routers_and_for_those_before)
{
    struct client *client = connected();
    client->host->interest = 3;
    client_publish(client, "a", 1, 10, SPAN(""), SPAN("x"));
    client_publish(client, "a", 1, 11, SPAN(""), SPAN("x"));
    client_confirm(client, 2, 1, 0);
    client_confirm(client, 2, 1, CONFIRM_UNROUTED);
    client_confirm(client, 1, 1, 0);
    cr_assert(client_silent(client));
    client_confirm(client, 1, 1, CONFIRM_UNROUTED);
    client_expect_answer(client, PACKET_PUBACK, 10, REASON_SUCCESS);
    client_expect_answer(client, PACKET_PUBACK, 11, REASON_SUCCESS);
    client_free(client);
}

Test(mqtt_incoming, a_publish_that_must_wait_is_not_lost)
{
    struct client *client = connected();
    client->host->park = true;
    client_publish(client, "a", 1, 10, SPAN(""), SPAN("x"));
    cr_assert_eq(client->host->publishes, 0);
    client->host->park = false;
    client_run(client);
    cr_assert_eq(client->host->publishes, 1);
    client_free(client);
}

/* Each is safe on the disk, or was answered at once, in the order in which PUBREC came. */
Test(mqtt_incoming, pubrels_come_in_the_order_of_pubrecs)
{
    for (unsigned kept = 0; kept < 2; kept++) {
        struct client *client = client_new();
        client_connect(client, MQTT_5, kept);
        client_subscribe(client, "a", 2);
        struct message *m =
            client_message(origin_of(2, false, false), true, SPAN("a"), SPAN("\x10\0\2"), SPAN("x"));
        for (uint64_t seq = 1; seq <= 3; seq++) {
            client_deliver(client, seq, m);
            client_expect(client, PACKET_PUBLISH);
        }
        client_bytes(client, SPAN("\x50\2\0\3\x50\2\0\1\x50\2\0\2"));
        client_run(client);
        client_expect_answer(client, PACKET_PUBREL, 3, REASON_SUCCESS);
        client_expect_answer(client, PACKET_PUBREL, 1, REASON_SUCCESS);
        client_expect_answer(client, PACKET_PUBREL, 2, REASON_SUCCESS);
        free(m);
        client_free(client);
    }
}
