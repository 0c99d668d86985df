#include "sys_topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/span.h"
#include "broker.h"
#include "control.h"
#include "gannetd.h"
#include "router/command.h"
#include "status.h"

static const struct {
    const char *key, *counter; /* as routing key; of stats.def */
} topics[] = {
    {"$SYS.broker.clients.connected", "front.connections"},
    {"$SYS.broker.clients.total", "front.accepted"},
    {"$SYS.broker.bytes.received", "front.bytes_in"},
    {"$SYS.broker.bytes.sent", "front.bytes_out"},
    {"$SYS.broker.publish.messages.received", "router.published"},
    {"$SYS.broker.publish.messages.sent", "router.delivered"},
    {"$SYS.broker.store.messages.count", "router.messages"},
    {"$SYS.broker.store.messages.bytes", "router.page_bytes"},
    {"$SYS.broker.subscriptions.count", "router.bindings"},
};

enum { LIST_BYTES = 2048 };

/* As session_binding_next reads it. */
static uint8_t *put(uint8_t *to, const char *key, const char *text)
{
    to = put_span(put_u8(to, (uint8_t)strlen(key)), span_str(key));
    return put_span(put_be32(to, (uint32_t)strlen(text)), span_str(text));
}

static struct span make_list(const struct gannetd *g, uint64_t started_ns)
{
    char text[64];
    uint8_t *list = malloc(LIST_BYTES), *at = list;
    CHECK(list);
    at = put(at, "$SYS.broker.version", "gannet version " GANNET_VERSION);
    snprintf(text, sizeof text, "%llu seconds",
             (unsigned long long)(g->clock_ns() - started_ns) / 1000000000);
    at = put(at, "$SYS.broker.uptime", text);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)status_value(g->broker, topics[i].counter));
        at = put(at, topics[i].key, text);
    }
    return span_of(list, (size_t)(at - list));
}

void sys_topics_publish(struct gannetd *g, uint64_t started_ns)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = OP_ANNOUNCE;
    name_set(&op->other, span_str(g->config->mqtt_exchange));
    op->arguments = make_list(g, started_ns);
    front_free_answer(control_ask(g, op));
}
