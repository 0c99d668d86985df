#include "router/producer.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/agent.h"

enum { SAVED_AT_ONCE = 64 };

#define WARN_EVERY_NS UINT64_C(60000000000)

static_assert(PRODUCER_WINDOW % 64 == 0 && (PRODUCER_WINDOW & (PRODUCER_WINDOW - 1)) == 0, "a ring of words");
static_assert(sizeof(struct record_producer) + sizeof(struct taken) + NAME_MAX_BYTES + 2 * BLOCK_BYTES <=
                  PAGE_BYTES,
              "its record fits a page");

/* ---- numbers ------------------------------------------------------------------------------------- */

static uint64_t *word_of(struct taken *t, uint64_t seq)
{
    return &t->bits[seq / 64 % (PRODUCER_WINDOW / 64)];
}

static bool has(struct taken *t, uint64_t seq)
{
    if (seq > t->last)
        return false;
    return t->last - seq >= PRODUCER_WINDOW || (*word_of(t, seq) >> seq % 64 & 1);
}

/* The window moves on: what is between the last one and this was not taken. */
static void move_to(struct taken *t, uint64_t seq)
{
    if (seq - t->last >= PRODUCER_WINDOW)
        memset(t->bits, 0, sizeof t->bits);
    else
        for (uint64_t skipped = t->last + 1; skipped < seq; skipped++)
            *word_of(t, skipped) &= ~(UINT64_C(1) << skipped % 64);
    t->last = seq;
}

static void take(struct taken *t, uint64_t seq)
{
    if (seq > t->last)
        move_to(t, seq);
    if (t->last - seq < PRODUCER_WINDOW)
        *word_of(t, seq) |= UINT64_C(1) << seq % 64;
}

/* ---- the table ----------------------------------------------------------------------------------- */

struct key {
    uint32_t vhost;
    struct span id;
};

static bool is_key(const struct map_node *node, const void *key)
{
    const struct producer *producer = container_of(node, struct producer, by_id);
    const struct key *k = key;
    return producer->vhost == k->vhost && span_equal(span_of(producer->id, producer->id_len), k->id);
}

static bool is_number(const struct map_node *node, const void *key)
{
    return container_of(node, struct producer, by_number)->number == *(const uint64_t *)key;
}

static struct producer *find(struct producers *p, struct key key)
{
    if (p->last && is_key(&p->last->by_id, &key))
        return p->last;
    struct map_node *node = map_find(&p->by_id, hash_keyed(key.id, key.vhost), is_key, &key);
    return node ? (p->last = container_of(node, struct producer, by_id)) : NULL;
}

static struct producer *find_number(struct producers *p, uint64_t number)
{
    struct map_node *node = map_find(&p->by_number, hash_id(number), is_number, &number);
    return node ? container_of(node, struct producer, by_number) : NULL;
}

static void unlink_age(struct producers *p, struct producer *producer)
{
    *(producer->older ? &producer->older->newer : &p->oldest) = producer->newer;
    *(producer->newer ? &producer->newer->older : &p->newest) = producer->older;
}

static void link_newest(struct producers *p, struct producer *producer)
{
    producer->older = p->newest;
    producer->newer = NULL;
    *(p->newest ? &p->newest->newer : &p->oldest) = producer;
    p->newest = producer;
}

static struct producer *add(struct producers *p, struct key key)
{
    struct producer *producer = calloc(1, sizeof *producer + key.id.len);
    CHECK(producer);
    producer->vhost = key.vhost;
    producer->id_len = (uint8_t)key.id.len;
    memcpy(producer->id, key.id.at, key.id.len);
    map_add(&p->by_id, &producer->by_id, hash_keyed(key.id, key.vhost));
    producer->handle = slots_add(&p->slots, producer);
    link_newest(p, producer);
    return producer;
}

static void set_number(struct producers *p, struct producer *producer, uint64_t number)
{
    producer->number = number;
    map_add(&p->by_number, &producer->by_number, hash_id(number));
}

static void forget(struct producers *p, struct producer *producer)
{
    map_remove(&p->by_id, &producer->by_id);
    if (producer->number)
        map_remove(&p->by_number, &producer->by_number);
    slots_remove(&p->slots, producer->handle);
    unlink_age(p, producer);
    if (p->last == producer)
        p->last = NULL;
    free(producer->passing);
    free(producer);
}

size_t router_producer_bytes(void)
{
    return (size_t)PRODUCERS_MAX * PRODUCER_BYTES;
}

void producers_init(struct producers *p)
{
    map_init(&p->by_id);
    map_init(&p->by_number);
}

void producers_free(struct producers *p)
{
    while (p->oldest)
        forget(p, p->oldest);
    map_free(&p->by_id);
    map_free(&p->by_number);
    slots_free(&p->slots);
}

/* ---- publishes ----------------------------------------------------------------------------------- */

static struct key key_of(const struct publishing *p)
{
    return (struct key){p->vhost, p->numbering->own.producer};
}

static void heard_of(struct router *router, struct producer *producer)
{
    struct producers *p = &router->producers;
    producer->used_ns = router->now_ns;
    if (p->newest == producer)
        return;
    unlink_age(p, producer);
    link_newest(p, producer);
}

bool producer_has(struct router *router, struct publishing *p)
{
    struct producer *producer = p->numbering->producer = find(&router->producers, key_of(p));
    if (!producer)
        return false;
    heard_of(router, producer);
    bool kept = has(&producer->kept, p->numbering->own.seq);
    if (!kept && (!producer->passing || !has(producer->passing, p->numbering->own.seq)))
        return false;
    p->durable = kept;
    return true;
}

static void warn(struct router *router, const struct publishing *p)
{
    struct producers *all = &router->producers;
    if (all->warned_ns && router->now_ns - all->warned_ns < WARN_EVERY_NS)
        return;
    all->warned_ns = router->now_ns;
    log_line(LOG_WARNING, "router",
             "router %u refuses messages of producer '%.*s' and maybe others: it remembers %zu producers, "
             "which is "
             "as many as it can, and none has been silent for as long as producers.silence says",
             router->options.index, (int)p->numbering->own.producer.len,
             (const char *)p->numbering->own.producer.at, all->by_id.count);
}

/* Room for one more, if need be by forgetting another. */
static bool make_room(struct router *router)
{
    struct producers *p = &router->producers;
    struct producer *oldest = p->oldest;
    if (p->by_id.count < PRODUCERS_MAX)
        return true;
    uint64_t since = oldest->used_ns > p->since_ns ? oldest->used_ns : p->since_ns;
    if (router->now_ns - since < router->options.producer_silence_ns)
        return false;
    if (oldest->number)
        persist_id(router, RECORD_PRODUCER_GONE, oldest->number);
    forget(p, oldest);
    return true;
}

static struct taken *passing_of(struct producer *producer)
{
    if (!producer->passing) {
        producer->passing = calloc(1, sizeof *producer->passing);
        CHECK(producer->passing);
    }
    return producer->passing;
}

/* The producer's first message, or NULL: there are too many. */
static struct producer *meet(struct router *router, const struct publishing *p)
{
    struct producers *all = &router->producers;
    if (!make_room(router)) {
        warn(router, p);
        return NULL;
    }
    struct producer *producer = add(all, key_of(p));
    producer->used_ns = router->now_ns;
    return producer;
}

bool producer_take(struct router *router, struct publishing *p)
{
    struct producer *producer = p->numbering->producer ? p->numbering->producer : meet(router, p);
    if (!producer)
        return false;
    if (p->durable && !producer->number)
        set_number(&router->producers, producer, persist_producer(router, producer));
    if (p->durable)
        p->numbering->produced = (struct produced){producer->number, p->numbering->own.seq};
    take(p->durable ? &producer->kept : passing_of(producer), p->numbering->own.seq);
    return true;
}

/* ---- recovery, checkpoint ------------------------------------------------------------------------ */

/* Adds what a record says, of a window that may be of another size than ours. */
static void take_saved(struct taken *to, const struct record_producer *r)
{
    uint64_t size = UINT64_C(64) * r->words, first = r->last < size ? 1 : r->last - size + 1;
    for (uint64_t seq = first; size && seq <= r->last; seq++)
        if (r->bits[seq / 64 % r->words] >> seq % 64 & 1)
            take(to, seq);
}

void producer_replay(struct router *router, const struct record_producer *r, uint64_t lsn)
{
    struct producers *p = &router->producers;
    struct key key = {r->vhost, span_of(&r->bits[r->words], r->id_len)};
    uint64_t number = r->number ? r->number : lsn;
    struct producer *producer = find_number(p, number);
    if (!producer) {
        producer = add(p, key);
        set_number(p, producer, number);
    }
    take_saved(&producer->kept, r);
}

void producer_replay_gone(struct router *router, uint64_t number)
{
    struct producer *producer = find_number(&router->producers, number);
    if (producer)
        forget(&router->producers, producer);
}

/* One that isn't known is gone, or comes later in the checkpoint that is being read, with this number. */
void producer_replay_message(struct router *router, const struct message *m)
{
    struct produced produced = message_produced(m);
    struct producer *producer = find_number(&router->producers, produced.producer);
    if (producer)
        take(&producer->kept, produced.seq);
}

bool producers_save(struct router *router, uint32_t *slot)
{
    const struct slots *slots = &router->producers.slots;
    for (unsigned n = 0; n < SAVED_AT_ONCE && *slot < slots->count; n++, ++*slot) {
        const struct producer *producer = slots->slot[*slot].thing;
        if (producer && producer->number)
            persist_producer(router, producer);
    }
    return *slot < slots->count;
}
