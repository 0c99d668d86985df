#include "codec/mqtt/inflight.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "codec/mqtt/mqtt.h"
#include "mqtt_client.h"

static void count(void *owner, uint16_t id, struct sent *sent)
{
    cr_assert_eq(sent->seq, id);
    ++*(unsigned *)owner;
}

Test(mqtt_inflight, it_is_an_array_of_identifiers, .timeout = 60)
{
    static bool model[65536];
    struct inflight inflight = {0};
    struct prng prng;
    unsigned used = 0;
    prng_seed(&prng, 1);
    for (unsigned step = 0; step < 200000; step++) {
        uint16_t id = (uint16_t)(1 + prng_below(&prng, step % 1000 < 500 ? 300 : 65535));
        struct sent *found = inflight_find(&inflight, id);
        cr_assert_eq(!!found, model[id]);
        if (found) {
            cr_assert_eq(found->seq, id);
            inflight_remove(&inflight, id);
            used--;
        } else {
            *inflight_use(&inflight, id) = (struct sent){.seq = id, .state = INFLIGHT_ACK};
            used++;
        }
        model[id] = !model[id];
        cr_assert_eq(inflight.count, used);
    }
    unsigned seen = 0;
    inflight_each(&inflight, count, &seen);
    cr_assert_eq(seen, used);
    inflight_free(&inflight);
}

static uint16_t delivered(struct client *client)
{
    struct span body = client_expect(client, PACKET_PUBLISH);
    return get_be16(body.at + 2 + get_be16(body.at));
}

/* The number in the queue says the identifier, unless one still has it that came a whole round before. */
Test(mqtt_inflight, identifiers_in_use_are_not_given_again)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_subscribe(client, "a", 1);
    struct message *m =
        client_message(origin_of(1, false, false), true, SPAN("a"), SPAN("\x10\0\2"), SPAN("x"));
    client_deliver(client, 5, m);
    client_deliver(client, 5 + OWN_IDS, m);
    client_deliver(client, 6, m);
    uint16_t one = delivered(client), two = delivered(client), three = delivered(client);
    cr_assert_eq(one, 5);
    cr_assert_gt(two, OWN_IDS);
    cr_assert_eq(three, 6);
    client_answer(client, PACKET_PUBACK, one);
    client_deliver(client, 5 + 2 * OWN_IDS, m);
    cr_assert_eq(delivered(client), 5);
    free(m);
    client_free(client);
}

/* All deliveries are given back when the connection ends, but for those that were answered. */
Test(mqtt_inflight, what_was_not_answered_is_given_back)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_subscribe(client, "a", 1);
    struct message *m =
        client_message(origin_of(1, false, false), true, SPAN("a"), SPAN("\x10\0\2"), SPAN("x"));
    for (uint64_t seq = 1; seq <= 4; seq++)
        client_deliver(client, seq, m);
    client_answer(client, PACKET_PUBACK, 2);
    size_t before = client->host->settles;
    client_bytes(client, SPAN("\xe0\0"));
    client_run(client);
    unsigned back = 0;
    for (size_t i = before; i < client->host->settles; i++)
        back += client->host->settle[i].how == SETTLE_REQUEUE ? client->host->settle[i].count : 0;
    cr_assert_eq(back, 3);
    free(m);
    client_free(client);
}

/* As when several queues send at once; what is held is nobody's when the connection ends. */
Test(mqtt_inflight, no_more_than_the_client_takes_are_sent)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_subscribe(client, "a", 1);
    client->c->receive_max = 2;
    struct message *m =
        client_message(origin_of(1, false, false), true, SPAN("a"), SPAN("\x10\0\2"), SPAN("x"));
    for (uint64_t seq = 1; seq <= 5; seq++)
        client_deliver(client, seq, m);
    cr_assert_eq(delivered(client), 1);
    cr_assert_eq(delivered(client), 2);
    cr_assert(client_silent(client));
    client_answer(client, PACKET_PUBACK, 2);
    cr_assert_eq(delivered(client), 3);
    cr_assert(client_silent(client));
    size_t before = client->host->settles;
    client_bytes(client, SPAN("\xe0\0"));
    client_run(client);
    unsigned unseen = 0;
    for (size_t i = before; i < client->host->settles; i++)
        unseen += client->host->settle[i].how == SETTLE_UNSEEN ? client->host->settle[i].count : 0;
    cr_assert_eq(unseen, 2);
    cr_assert_eq(client->host->done, 5);
    free(m);
    client_free(client);
}

/* Nobody calls flush any more. */
Test(mqtt_inflight, what_comes_behind_the_end_is_given_back_when_the_connection_is_gone)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    uint64_t tag = client->c->own->handle;
    codec_mqtt.shutdown(client->c, client->host, "it is enough");
    codec_mqtt.flush(client->c, client->host);
    size_t before = client->host->settles;
    for (uint64_t seq = 5; seq < 7; seq++)
        codec_mqtt.event(
            client->c, client->host, 0,
            &(union event){
                .deliver = {.kind = EVENT_DELIVER, .tag = tag, .queue = 5, .seq = seq, .page = 9}});
    codec_mqtt.gone(client->c, client->host);
    cr_assert_eq(client->host->settles, before + 1);
    cr_assert_eq(client->host->settle[before].how, SETTLE_UNSEEN);
    cr_assert_eq(client->host->settle[before].count, 2);
    client_free(client);
}
