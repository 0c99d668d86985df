/* SUBSCRIBE: what is asked of the routers, and in which order. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "codec/mqtt/mqtt.h"
#include "mqtt_client.h"

static const struct op *kept_op(const struct client *client, size_t i)
{
    cr_assert_lt(i, client->kept);
    return &client->last[i];
}

Test(mqtt_subscribe, a_filter_is_bound_anew_before_it_is_unbound)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_subscribe(client, "a/+", 1);
    client->keep = true;
    client_subscribe(client, "a/+", 2);
    cr_assert_eq(client->kept, 2);
    cr_assert_eq(kept_op(client, 0)->kind, OP_QUEUE_BIND);
    cr_assert_eq(kept_op(client, 1)->kind, OP_QUEUE_UNBIND);
    cr_assert(span_is(name_span(&kept_op(client, 0)->key), "a.*"));
    client_free(client);
}

Test(mqtt_subscribe, the_same_again_is_not_unbound)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_subscribe(client, "a", 1);
    client->keep = true;
    client_subscribe(client, "a", 1);
    cr_assert_eq(client->kept, 1);
    cr_assert_eq(kept_op(client, 0)->kind, OP_QUEUE_BIND);
    client_free(client);
}

Test(mqtt_subscribe, what_comes_behind_waits_for_the_answer)
{
    struct client *client = client_new();
    client_connect(client, MQTT_5, true);
    client_bytes(client, SPAN("\x82\7\0\5\0\0\1a\0\xc0\0"));
    codec_mqtt.input(client->c, client->host, span_of(client->input.at, client->input.len));
    cr_assert(client_silent(client), "neither SUBACK nor PINGRESP");
    client->input.len = 0;
    client_bytes(client, SPAN("\xc0\0"));
    client_run(client);
    client_expect(client, PACKET_SUBACK);
    client_expect(client, PACKET_PINGRESP);
    client_free(client);
}

static void refuse_op(struct client *client, enum op_kind kind)
{
    unsigned router;
    struct op *op;
    while ((op = fake_take_op(client->host, &router))) {
        op->error = op->kind == kind ? ERR_NOT_FOUND : ERR_NONE;
        if (op->kind == OP_CONSUME)
            op->consumer = 9;
        codec_mqtt.event(client->c, client->host, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
    }
}

static uint8_t code_when_refused(uint8_t version, enum op_kind kind)
{
    struct client *client = client_new();
    client_connect(client, version, false);
    struct span packet = version == MQTT_5 ? SPAN("\x82\7\0\5\0\0\1a\1") : SPAN("\x82\6\0\5\0\1a\1");
    codec_mqtt.input(client->c, client->host, packet);
    refuse_op(client, kind);
    struct span suback = client_expect(client, PACKET_SUBACK);
    uint8_t code = suback.at[suback.len - 1];
    client_free(client);
    return code;
}

Test(mqtt_subscribe, what_the_routers_refuse_is_a_failure)
{
    cr_assert_eq(code_when_refused(MQTT_5, OP_QUEUE_BIND), REASON_IMPLEMENTATION);
    cr_assert_eq(code_when_refused(MQTT_5, OP_QUEUE_DECLARE), REASON_IMPLEMENTATION);
    cr_assert_eq(code_when_refused(MQTT_5, OP_CONSUME), REASON_IMPLEMENTATION);
    cr_assert_eq(code_when_refused(MQTT_311, OP_QUEUE_BIND), 0x80);
}
