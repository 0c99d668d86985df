#include "codec/amqp/consumer.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/exclusive.h"

/* prefix: class and method id, then the tag as a short string. */
enum { PREFIX_IDS = 4, PREFIX_TAG = PREFIX_IDS + 1 };

/* ---- by tag ----------------------------------------------------------------------------------------------
 */

struct tag_key {
    const struct channel *channel;
    struct span tag;
};

struct span consumer_tag(const struct consumer *consumer)
{
    return span_of(consumer->prefix + PREFIX_TAG, consumer->prefix[PREFIX_IDS]);
}

static bool is_tagged(const struct map_node *node, const void *key)
{
    const struct tag_key *k = key;
    const struct consumer *consumer = container_of(node, struct consumer, by_tag);
    return consumer->channel == k->channel && span_equal(consumer_tag(consumer), k->tag);
}

static uint64_t tag_hash(const struct channel *ch, struct span tag)
{
    return hash_keyed(tag, ch->number);
}

struct consumer *consumer_find(const struct amqp *c, const struct channel *ch, struct span tag)
{
    struct tag_key key = {ch, tag};
    struct map_node *node = map_find(&c->consumer_tags, tag_hash(ch, tag), is_tagged, &key);
    return node ? container_of(node, struct consumer, by_tag) : NULL;
}

/* ---- made, freed
 * ------------------------------------------------------------------------------------------- */

/* The first consumers of a connection get a whole window each, later ones less: together they don't get out
 * of hand. */
static uint32_t window_of(const struct amqp *c)
{
    uint32_t window = CONSUMER_WINDOW / (uint32_t)(c->consumer_tags.count + 1);
    return window > CONSUMER_WINDOW / 64 ? window : CONSUMER_WINDOW / 64;
}

static void write_prefix(struct consumer *consumer, struct span tag)
{
    const struct method_row *row = &methods[METHOD_BASIC_DELIVER];
    uint8_t *p = put_be16(consumer->prefix, row->class_id);
    put_str(put_be16(p, row->method_id), tag);
}

static void link_consumer(struct channel *ch, struct consumer *consumer)
{
    consumer->next = ch->consumers;
    if (ch->consumers)
        ch->consumers->prev = consumer;
    ch->consumers = consumer;
    ch->consumer_count++;
}

struct consumer *consumer_new(struct amqp *c, struct channel *ch, struct span tag, struct span queue)
{
    if (consumer_find(c, ch, tag)) {
        amqp_fail(c, ch, ERR_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'", TEXT_OF(tag));
        return NULL;
    }
    uint32_t most = c->options->consumers_max;
    if (ch->consumer_count >= most) {
        amqp_fail(c, ch, ERR_NOT_ALLOWED, "reached maximum (%u) of consumers per channel", most);
        return NULL;
    }
    struct consumer *consumer = calloc(1, sizeof *consumer + PREFIX_TAG + tag.len + queue.len);
    CHECK(consumer);
    consumer->channel = ch;
    consumer->window = window_of(c);
    consumer->prefix_len = (uint16_t)(PREFIX_TAG + tag.len);
    write_prefix(consumer, tag);
    consumer->queue_len = (uint8_t)queue.len;
    put_span(consumer->prefix + consumer->prefix_len, queue);
    consumer->handle = slots_add(&c->consumers, consumer);
    map_add(&c->consumer_tags, &consumer->by_tag, tag_hash(ch, tag));
    link_consumer(ch, consumer);
    return consumer;
}

/* What needs no acknowledgement isn't counted; more than the channel's limit would only be given back. */
static uint32_t allowed(const struct consumer *consumer)
{
    uint32_t limit = consumer->channel->limit;
    if (consumer->no_ack)
        return 0;
    return consumer->prefetch && consumer->prefetch < limit ? consumer->prefetch : limit;
}

void consumer_op(struct amqp *c, struct consumer *consumer, struct op *op)
{
    consumer->prefetch = consumer->channel->prefetch;
    consumer->allowed = allowed(consumer);
    op->tag = consumer->handle;
    op->window = consumer->window;
    op->prefetch = consumer->allowed;
    consumer->router = host_router_of(c->host, c->vhost, name_span(&op->name));
}

static void leave_debt(struct amqp *c, struct consumer *consumer)
{
    struct consumer **link = &c->in_debt;
    while (*link != consumer)
        link = &(*link)->next_in_debt;
    *link = consumer->next_in_debt;
}

void consumer_free(struct amqp *c, struct consumer *consumer)
{
    struct channel *ch = consumer->channel;
    if (consumer->prev)
        consumer->prev->next = consumer->next;
    else
        ch->consumers = consumer->next;
    if (consumer->next)
        consumer->next->prev = consumer->prev;
    ch->consumer_count--;
    if (consumer->in_debt)
        leave_debt(c, consumer);
    if (consumer->exclusive)
        exclusive_leave(c, consumer->exclusive);
    if (consumer->direct_reply)
        name_drop(&ch->reply_queue);
    map_remove(&c->consumer_tags, &consumer->by_tag);
    slots_remove(&c->consumers, consumer->handle);
    name_drop(&consumer->arguments);
    free(consumer);
}

/* ---- its end, from the other side ------------------------------------------------------------------------
 */

/* What a transaction holds is answered: only if that is rolled back does it go back, too. */
static void give_all_back(struct amqp *c, const struct consumer *consumer)
{
    struct channel *ch = consumer->channel;
    for (uint32_t i = 0; i < ch->unacked.count;) {
        struct delivery *d = unacked_at(&ch->unacked, i);
        uint32_t count = ch->unacked.count;
        bool its_own = d->consumer == consumer->id && d->router == consumer->router;
        if (its_own && d->state == UNACKED_LIVE)
            channel_lapse(c, ch, d);
        else if (its_own)
            d->lapsed = true;
        i += count == ch->unacked.count;
    }
    if (ch->limit_met)
        consumers_resume(c, ch);
}

void consumer_end(struct amqp *c, const struct consumer *consumer)
{
    struct op *op = op_new(c, consumer->channel, OP_CANCEL, PURPOSE_RELEASE);
    op->consumer = consumer->id;
    op_send_to(c, consumer->router, op);
}

static void lapse(struct amqp *c, const struct consumer *consumer)
{
    host_log(c->host, "channel %u: consumer '%.*s' kept a delivery unacknowledged for too long: cancelled",
             consumer->channel->number, TEXT_OF(consumer_tag(consumer)));
    give_all_back(c, consumer);
    if (!consumer->cancelling)
        consumer_end(c, consumer);
}

void consumer_cancelled(struct amqp *c, const struct event_cancel *event)
{
    struct consumer *consumer = slots_get(&c->consumers, event->tag);
    if (!consumer)
        return;
    if (event->flags & CANCEL_LAPSED)
        lapse(c, consumer);
    if (consumer->cancelling) /* by its client, which will hear of that */
        return;
    if (c->capabilities & CAPABLE_CANCEL_NOTIFY)
        SEND(c, consumer->channel->number, BASIC_CANCEL, .consumer_tag = str(consumer_tag(consumer)),
             .nowait = num(1));
    consumer_free(c, consumer);
}

/* ---- windows
 * ----------------------------------------------------------------------------------------------- */

void consumer_pause(struct amqp *c, struct consumer *consumer)
{
    if (consumer->paused || !consumer->id)
        return;
    consumer->paused = true;
    host_credit(c->host, consumer->router, consumer->id, 0, CREDIT_PAUSE);
}

/* A settlement of no queue's deliveries leaves the consumer's window so much wider. Less than before needs no
 * telling: what comes too much is given back. */
void consumers_allow(struct amqp *c, struct channel *ch)
{
    for (struct consumer *consumer = ch->consumers; consumer; consumer = consumer->next) {
        uint32_t now = allowed(consumer);
        if (!consumer->id || now <= consumer->allowed)
            continue;
        host_settle(c->host, consumer->router, 0, 0, now - consumer->allowed, SETTLE_UNSEEN, consumer->id);
        consumer->allowed = now;
    }
}

static bool may_resume(const struct channel *ch)
{
    return !ch->flow_off && ch->counted < ch->limit;
}

/* What was given back must be in its queue again before the router looks there. */
void consumers_resume(struct amqp *c, struct channel *ch)
{
    if (!may_resume(ch)) {
        ch->limit_met = true; /* whatever paused them: an acknowledgement lets them go on */
        return;
    }
    ch->limit_met = false;
    settle_flush(&c->settle, c->host);
    for (struct consumer *consumer = ch->consumers; consumer; consumer = consumer->next) {
        if (!consumer->paused)
            continue;
        consumer->paused = false;
        host_resume(c->host, consumer->router, consumer->id, ++consumer->round, consumer->seen);
    }
}

void consumers_credit(struct amqp *c)
{
    while (c->in_debt) {
        struct consumer *consumer = c->in_debt;
        c->in_debt = consumer->next_in_debt;
        host_credit(c->host, consumer->router, consumer->id, consumer->debt, 0);
        consumer->in_debt = false;
        consumer->debt = 0;
    }
}
