#include "codec/amqp/exclusive.h"

#include <stdlib.h>

#include "base/check.h"

static struct span name_of(const struct exclusive_queue *queue)
{
    return span_of(queue->name, queue->name_len);
}

static bool is_named(const struct map_node *node, const void *key)
{
    return span_equal(name_of(container_of(node, struct exclusive_queue, node)), *(const struct span *)key);
}

struct exclusive_queue *exclusive_find(const struct amqp *c, struct span name)
{
    struct map_node *node = map_find(&c->exclusive_queues, hash_keyed(name, 0), is_named, &name);
    return node ? container_of(node, struct exclusive_queue, node) : NULL;
}

void exclusive_add(struct amqp *c, struct span name, bool auto_delete)
{
    if (exclusive_find(c, name))
        return;
    struct exclusive_queue *queue = calloc(1, sizeof *queue + name.len);
    CHECK(queue);
    queue->auto_delete = auto_delete;
    queue->name_len = (uint8_t)name.len;
    memcpy(queue->name, name.at, name.len);
    map_add(&c->exclusive_queues, &queue->node, hash_keyed(name, 0));
}

void exclusive_remove(struct amqp *c, struct exclusive_queue *queue)
{
    map_remove(&c->exclusive_queues, &queue->node);
    queue->gone = true;
    if (!queue->consumers)
        free(queue);
}

void exclusive_leave(struct amqp *c, struct exclusive_queue *queue)
{
    CHECK(queue->consumers > 0);
    if (--queue->consumers)
        return;
    if (queue->gone)
        free(queue);
    else if (queue->auto_delete)
        exclusive_remove(c, queue);
}

static void delete_one(struct map_node *node, void *owner)
{
    struct amqp *c = owner;
    struct exclusive_queue *queue = container_of(node, struct exclusive_queue, node);
    struct op *op = op_new(c, NULL, OP_QUEUE_DELETE, PURPOSE_RELEASE);
    op->flags = OP_OF_OWNER;
    name_set(&op->name, name_of(queue));
    exclusive_remove(c, queue);
    op_send(c, op);
}

void exclusive_queues_delete(struct amqp *c)
{
    map_each(&c->exclusive_queues, delete_one, c);
}
