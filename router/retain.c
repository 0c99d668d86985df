#include "router/retain.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/dead_letter.h"
#include "router/hidden.h"
#include "router/image.h"
#include "router/message.h"
#include "router/repost.h"
#include "router/shape.h"
#include "router/stream.h"

void retain_become(struct queue *queue)
{
    shape_for_history(queue);
    struct settings *s = &queue->shape->settings;
    s->text[SETTING_LAST_VALUE] = span_str("routing-key");
    s->value[SETTING_LAST_VALUE] = 1;
    queue->stream = stream_new(queue);
    queue->stream->image = image_new();
    image_find_names(queue->stream->image);
}

struct queue *retain_queue(struct router *router, struct catalog_exchange *exchange,
                           const struct command_publish *publish, bool *forgot)
{
    struct span key = span_of(publish->bytes, publish->key_len);
    unsigned home = router_of_retained(exchange->exchange.id, key, router->options.routers);
    if (exchange->exchange.type != EXCHANGE_TOPIC || home != router->options.index)
        return NULL;
    if (publish->total_len)
        return hidden_queue(router, exchange, HIDDEN_RETAIN);
    struct queue *queue = hidden_find(router, exchange, HIDDEN_RETAIN);
    if (queue) {
        image_forget(router, queue, key);
        persist_settled_flush(router);
        *forgot = true;
    }
    return NULL;
}

/* ---- to who subscribes --------------------------------------------------------------------------------- */

struct copying {
    struct router *router;
    struct queue *queue;
    struct copy_target *target;
    bool spares; /* the filter begins with a wildcard: it is for no name that begins with '$' */
};

static void copy(void *owner, void *thing)
{
    const struct copying *c = owner;
    const struct image_key *k = thing;
    if (k->seq && !(c->spares && k->len && k->name[0] == '$'))
        dead_letter_copy(c->router, c->queue, k->seq, c->target);
}

static void send_here(struct router *router, struct catalog_exchange *exchange,
                      const struct retain_request *to)
{
    struct span filter = name_span(&to->filter);
    struct queue *queue = hidden_find(router, exchange, HIDDEN_RETAIN);
    if (!queue)
        return;
    struct copying copying = {router, queue, copy_target_new(to->vhost, name_span(&to->queue), to->handle),
                              filter.len && (filter.at[0] == '*' || filter.at[0] == '#')};
    image_match_names(queue->stream->image, filter, copy, &copying);
    copy_target_drop(copying.target);
    queue_wake(router, queue);
}

static void ask(struct router *router, unsigned other, const struct catalog_exchange *exchange,
                const struct retain_request *to)
{
    struct retain_request *request = malloc(sizeof *request);
    CHECK(request);
    *request = *to;
    *(struct peer_message *)link_add(&router->peer[other]) =
        (struct peer_message){.kind = PEER_RETAINED, .exchange = exchange->exchange.id, .retained = request};
}

void retain_send(struct router *router, struct catalog_exchange *exchange, const struct queue *queue,
                 struct span filter)
{
    struct retain_request to = {.vhost = queue->vhost, .handle = queue->handle};
    name_set(&to.queue, name_span(&queue->name));
    name_set(&to.filter, filter);
    for (unsigned r = 0; r < router->options.routers; r++) {
        if (r == router->options.index)
            send_here(router, exchange, &to);
        else
            ask(router, r, exchange, &to);
    }
}

void router_on_retained(struct router *router, uint64_t id, struct retain_request *request)
{
    struct catalog_exchange *exchange = catalog_exchange_by_id(&router->catalog, id);
    if (exchange)
        send_here(router, exchange, request);
    free(request);
}

/* ---- the broker's own --------------------------------------------------------------------------------- */

struct announcement {
    struct router *router;
    const struct op *op;
};

static void announce_in(const struct access_change *vhost, void *owner)
{
    static const uint8_t no_properties[2];
    const struct announcement *a = owner;
    const struct op *op = a->op;
    struct span list = op->arguments;
    struct session_binding said;
    while (vhost->kind == ACCESS_VHOST && session_binding_next(&list, &said)) {
        const struct repost r = {
            .vhost = access_vhost_id(vhost->text[TEXT_VHOST]),
            .exchange = name_span(&op->other),
            .key = said.key,
            .properties = span_of(no_properties, sizeof no_properties),
            .body = said.arguments,
            .protocol = origin_of(0, true, true),
        };
        repost(a->router, &r, (struct ticket){0});
    }
}

void retain_announce(struct router *router, struct op *op)
{
    access_each(router->access, announce_in, &(struct announcement){router, op});
    router_answer_now(router, op);
}
