#include "codec/mqtt/batch.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"

static void add(struct id_list *list, uint16_t id)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 16;
        list->ids = realloc(list->ids, list->room * sizeof *list->ids);
        CHECK(list->ids);
    }
    list->ids[list->count++] = id;
}

void batch_released(struct mqtt *c, uint16_t id)
{
    add(&c->batches.released, id);
}

void batch_received(struct mqtt *c, uint16_t id)
{
    add(&c->batches.received, id);
}

static struct batch *batch_new(struct mqtt *c, struct id_list *list, enum batch_kind kind)
{
    struct batch *b = calloc(1, sizeof *b);
    CHECK(b);
    b->number = ++c->batches.number;
    b->kind = kind;
    b->list = *list;
    *list = (struct id_list){0};
    b->next = c->batches.first;
    c->batches.first = b;
    return b;
}

static struct span ids_of(const struct id_list *list)
{
    uint8_t *bytes = malloc(2 * list->count), *at = bytes;
    CHECK(bytes);
    for (uint32_t i = 0; i < list->count; i++)
        at = put_be16(at, list->ids[i]);
    return span_of(bytes, 2 * list->count);
}

static void send_released(struct mqtt *c, struct id_list *list, enum batch_kind kind)
{
    struct batch *b = batch_new(c, list, kind);
    for (unsigned r = 0; r < host_routers(c->host); r++) {
        struct op *op = mqtt_op(c, OP_RELEASE, PURPOSE_BATCH, c->sender);
        op->arguments = ids_of(&b->list);
        op->flags = kind == BATCH_WITHDRAWN ? OP_WITHDRAWN : 0;
        op->tag = b->number;
        b->pending++;
        mqtt_send_to(c, r, op);
    }
}

static void send_received(struct mqtt *c)
{
    struct batch *b = batch_new(c, &c->batches.received, BATCH_RECEIVED);
    struct op *op = mqtt_op(c, OP_BARRIER, PURPOSE_BATCH, c->queue);
    op->flags = OP_DURABLE;
    op->tag = b->number;
    b->pending = 1;
    mqtt_send_to(c, host_router_of(c->host, c->vhost, c->queue), op);
}

void batches_send(struct mqtt *c)
{
    if (c->stage != STAGE_OPEN)
        return;
    if (c->batches.released.count)
        send_released(c, &c->batches.released, BATCH_RELEASED);
    if (c->batches.received.count)
        send_received(c);
}

void batch_withdraw(struct mqtt *c, uint16_t id)
{
    struct id_list list = {0};
    add(&list, id);
    send_released(c, &list, BATCH_WITHDRAWN);
}

static void tell(struct mqtt *c, const struct batch *b)
{
    bool released = b->kind == BATCH_RELEASED;
    if (b->kind == BATCH_WITHDRAWN) {
        mqtt_withdrawn(c, b->list.ids[0]);
        return;
    }
    for (uint32_t i = 0; i < b->list.count; i++)
        send_answer(c, released ? PACKET_PUBCOMP : PACKET_PUBREL, released ? 0 : 2, b->list.ids[i],
                    REASON_SUCCESS);
}

void batch_back(struct mqtt *c, const struct op *op)
{
    struct batch **at = &c->batches.first;
    while (*at && (*at)->number != op->tag)
        at = &(*at)->next;
    struct batch *b = *at;
    CHECK(b);
    if (op->error != ERR_NONE) {
        mqtt_fail(c, REASON_UNSPECIFIED, "%s", op->text);
        return;
    }
    if (--b->pending)
        return;
    *at = b->next;
    tell(c, b);
    free(b->list.ids);
    free(b);
}

void batches_free(struct mqtt *c)
{
    for (struct batch *b = c->batches.first, *next; b; b = next) {
        next = b->next;
        free(b->list.ids);
        free(b);
    }
    free(c->batches.released.ids);
    free(c->batches.received.ids);
    c->batches = (struct batches){.number = c->batches.number};
}
