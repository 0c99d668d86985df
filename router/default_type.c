#include "router/default_type.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/settings.h"
#include "router/shape.h"
#include "router/table_out.h"

static const char argument[] = "x-queue-type";

/* As with RabbitMQ: what can't be of another type, because of how long it lives, is classic. */
static bool may_be(const struct op *op)
{
    return (op->flags & OP_DURABLE) && !(op->flags & (OP_EXCLUSIVE | OP_AUTO_DELETE | OP_UNNAMED));
}

void default_type_complete(const struct router *router, struct op *op, const struct queue *there)
{
    struct span type = access_queue_type(router->access, op->vhost), old = op->arguments;
    struct field field;
    if (!type.len || !may_be(op) || table_find(old, argument, &field))
        return;
    if (there)
        type = span_str(
            settings_type_name(there->shape ? settings_type(&there->shape->settings) : TYPE_CLASSIC));
    else if (span_is(type, settings_type_name(TYPE_CLASSIC)))
        return; /* which it is anyway */
    uint8_t *bytes = malloc(old.len + sizeof argument + 5 + type.len);
    CHECK(bytes);
    op->arguments = span_of(bytes, (size_t)(put_field_str(put_span(bytes, old), argument, type) - bytes));
    free((void *)(uintptr_t)old.at);
}
