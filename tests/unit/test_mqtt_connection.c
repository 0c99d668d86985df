/* Keep alive: who is alive though nothing comes. */
#include <criterion/criterion.h>

#include "codec/mqtt/mqtt.h"
#include "mqtt_client.h"

#define SECOND UINT64_C(1000000000)

/* A connection of MQTT 3.1.1 with a keep alive of ten seconds, whose PUBLISH must wait. */
static struct client *parked(void)
{
    struct client *c = client_new();
    client_packet(c, PACKET_CONNECT << 4, SPAN("\0\4MQTT\4\2\0\12\0\2me"));
    client_run(c);
    client_expect(c, PACKET_CONNACK);
    c->host->park = true;
    client_publish(c, "a", 0, 0, SPAN(""), SPAN("x"));
    client_run(c);
    return c;
}

static void at(struct client *c, uint64_t ns)
{
    c->host->now_ns = ns;
    codec_mqtt.tick(c->c, c->host);
}

Test(mqtt_connection, whose_publish_waits_is_alive)
{
    struct client *c = parked();
    uint64_t start = c->host->now_ns;
    at(c, start + 15 * SECOND);
    at(c, start + 30 * SECOND);
    cr_assert(!c->host->closed);
    client_free(c);
}

Test(mqtt_connection, whose_publish_waits_for_its_own_output_is_gone)
{
    struct client *c = parked();
    uint64_t start = c->host->now_ns;
    c->host->backlog = OUTPUT_HIGH_BYTES;
    at(c, start + 14 * SECOND);
    cr_assert(!c->host->closed);
    at(c, start + 15 * SECOND);
    cr_assert(c->host->closed);
    client_free(c);
}
