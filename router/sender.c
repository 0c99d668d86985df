#include "router/sender.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/message.h"
#include "router/persist.h"

#ifndef GANNET_TINY
enum { SENDERS_IDLE = 4096, SAVED_AT_ONCE = 64 };
#else
enum { SENDERS_IDLE = 2, SAVED_AT_ONCE = 1 };
#endif

enum { PAGE_IDS = 1024, PAGES = 65536 / PAGE_IDS, SESSION_BYTES = 4 };

struct id_page {
    uint32_t used;
    uint64_t bits[PAGE_IDS / 64];
};

struct sender {
    struct map_node by_name, by_number;
    struct sender *older, *newer; /* of the idle ones */
    struct id_page *pages[PAGES]; /* NULL: none in use */
    uint64_t handle;
    uint64_t number; /* in records; 0: nothing of it is on disk */
    uint32_t used, vhost;
    uint8_t len;
    uint8_t name[];
};

/* ---- identifiers ------------------------------------------------------------------------------------ */

static bool has(const struct sender *s, uint16_t id)
{
    const struct id_page *page = s->pages[id / PAGE_IDS];
    return page && page->bits[id % PAGE_IDS / 64] >> id % 64 & 1;
}

static void hold(struct sender *s, uint16_t id)
{
    struct id_page **page = &s->pages[id / PAGE_IDS];
    if (has(s, id))
        return;
    if (!*page) {
        *page = calloc(1, sizeof **page);
        CHECK(*page);
    }
    (*page)->bits[id % PAGE_IDS / 64] |= UINT64_C(1) << id % 64;
    (*page)->used++;
    s->used++;
}

static void let_go(struct sender *s, uint16_t id)
{
    struct id_page **page = &s->pages[id / PAGE_IDS];
    if (!has(s, id))
        return;
    (*page)->bits[id % PAGE_IDS / 64] &= ~(UINT64_C(1) << id % 64);
    s->used--;
    /* The last page stays: most have one message under way at a time. */
    if (--(*page)->used || !s->used)
        return;
    free(*page);
    *page = NULL;
}

static void let_all_go(struct sender *s)
{
    for (unsigned i = 0; i < PAGES; i++) {
        free(s->pages[i]);
        s->pages[i] = NULL;
    }
    s->used = 0;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

struct key {
    uint32_t vhost;
    struct span name;
};

static bool is_named(const struct map_node *node, const void *key)
{
    const struct sender *s = container_of(node, struct sender, by_name);
    const struct key *k = key;
    return s->vhost == k->vhost && span_equal(span_of(s->name, s->len - SESSION_BYTES), k->name);
}

static struct key key_of(uint32_t vhost, struct span name)
{
    return (struct key){vhost, span_of(name.at, name.len - SESSION_BYTES)};
}

/* Below, at, above 0: it is of an earlier session than the sender, of the same, of a later one. */
static int compare(struct span name, const struct sender *s)
{
    return memcmp(name.at + name.len - SESSION_BYTES, s->name + s->len - SESSION_BYTES, SESSION_BYTES);
}

static bool is_number(const struct map_node *node, const void *number)
{
    return container_of(node, struct sender, by_number)->number == *(const uint64_t *)number;
}

static struct sender *find(const struct senders *all, uint32_t vhost, struct span name)
{
    struct key key = key_of(vhost, name);
    struct map_node *node = map_find(&all->by_name, hash_keyed(key.name, key.vhost), is_named, &key);
    return node ? container_of(node, struct sender, by_name) : NULL;
}

static struct sender *find_number(const struct senders *all, uint64_t number)
{
    struct map_node *node = map_find(&all->by_number, hash_id(number), is_number, &number);
    return node ? container_of(node, struct sender, by_number) : NULL;
}

static bool is_idle(const struct senders *all, const struct sender *s)
{
    return s->older || all->idle_first == s;
}

static void leave_idle(struct senders *all, struct sender *s)
{
    if (!is_idle(all, s))
        return;
    *(s->older ? &s->older->newer : &all->idle_first) = s->newer;
    *(s->newer ? &s->newer->older : &all->idle_last) = s->older;
    s->older = s->newer = NULL;
    all->idle--;
}

static void drop(struct senders *all, struct sender *s)
{
    leave_idle(all, s);
    let_all_go(s);
    map_remove(&all->by_name, &s->by_name);
    if (s->number)
        map_remove(&all->by_number, &s->by_number);
    slots_remove(&all->slots, s->handle);
    free(s);
}

/* With none in use nothing is lost with it. */
static void become_idle(struct senders *all, struct sender *s)
{
    if (s->used || is_idle(all, s))
        return;
    s->older = all->idle_last;
    *(all->idle_last ? &all->idle_last->newer : &all->idle_first) = s;
    all->idle_last = s;
    if (++all->idle > SENDERS_IDLE)
        drop(all, all->idle_first);
}

static struct sender *add(struct senders *all, uint32_t vhost, struct span name)
{
    struct sender *s = calloc(1, sizeof *s + name.len);
    CHECK(s);
    s->vhost = vhost;
    s->len = (uint8_t)name.len;
    put_span(s->name, name);
    map_add(&all->by_name, &s->by_name, hash_keyed(key_of(vhost, name).name, vhost));
    s->handle = slots_add(&all->slots, s);
    return s;
}

static void set_number(struct senders *all, struct sender *s, uint64_t number)
{
    s->number = number;
    map_add(&all->by_number, &s->by_number, hash_id(number));
}

void senders_init(struct senders *all)
{
    map_init(&all->by_name);
    map_init(&all->by_number);
}

void senders_free(struct senders *all)
{
    for (uint32_t i = 0; i < all->slots.count; i++)
        if (all->slots.slot[i].thing)
            drop(all, all->slots.slot[i].thing);
    map_free(&all->by_name);
    map_free(&all->by_number);
    slots_free(&all->slots);
}

/* ---- publishes ------------------------------------------------------------------------------------------
 */

static struct sender *sender_of(struct router *router, const struct publishing *p)
{
    return find(&router->senders, p->vhost, p->numbering->own.producer);
}

bool sender_has(struct router *router, struct publishing *p)
{
    const struct sender *s = sender_of(router, p);
    if (!s || compare(p->numbering->own.producer, s) || !has(s, (uint16_t)p->numbering->own.seq))
        return false;
    p->durable = s->number != 0;
    return true;
}

static uint64_t save(struct router *router, const struct sender *s)
{
    size_t ids = s->used * sizeof(uint16_t);
    struct record_sender *r = persist_sender_begin(router, ids + s->len);
    r->number = s->number;
    r->vhost = s->vhost;
    r->count = s->used;
    r->name_len = s->len;
    uint8_t *at = put_span((uint8_t *)(r + 1), span_of(s->name, s->len));
    for (unsigned id = 0; id < 65536; id++)
        if (has(s, (uint16_t)id))
            at = put_be16(at, (uint16_t)id);
    return store_end(&router->store);
}

static void forget(struct router *router, struct sender *s)
{
    if (s->number && !router->store.failed)
        persist_id(router, RECORD_SENDER_GONE, s->number);
    drop(&router->senders, s);
}

void sender_take(struct router *router, struct publishing *p)
{
    struct senders *all = &router->senders;
    struct span name = p->numbering->own.producer;
    struct sender *s = sender_of(router, p);
    int order = s ? compare(name, s) : 0;
    if (order < 0)
        return; /* on its way when its session ended: nobody will send it again */
    if (order > 0)
        forget(router, s);
    if (!s || order > 0)
        s = add(all, p->vhost, name);
    if (p->durable && !s->number)
        set_number(all, s, save(router, s));
    if (p->durable)
        p->numbering->produced = (struct produced){s->number, p->numbering->own.seq};
    hold(s, (uint16_t)p->numbering->own.seq);
    leave_idle(all, s);
}

/* ---- ops -------------------------------------------------------------------------------------------------
 */

static bool has_any(const struct sender *s, struct span ids)
{
    for (size_t i = 0; i + 1 < ids.len; i += 2)
        if (has(s, get_be16(ids.at + i)))
            return true;
    return false;
}

void sender_release(struct router *router, struct op *op)
{
    struct span name = name_span(&op->name);
    struct sender *s = find(&router->senders, op->vhost, name);
    bool known = s && compare(name, s) == 0, durable = known && s->number;
    if (known && op->flags & OP_WITHDRAWN && !has_any(s, op->arguments))
        known = durable = false;
    if (durable && router->store.failed) {
        router_refuse(router, op, ERR_INTERNAL, "the journal of router %u has failed", router->options.index);
        return;
    }
    if (known)
        for (size_t i = 0; i + 1 < op->arguments.len; i += 2)
            let_go(s, get_be16(op->arguments.at + i));
    if (durable)
        persist_released(router, s->number, op->arguments);
    if (known)
        become_idle(&router->senders, s);
    op->flags |= durable ? OP_DURABLE : 0;
    router_answer(router, op);
}

/* ---- recovery, checkpoints
 * --------------------------------------------------------------------------------- */

void sender_replay(struct router *router, const struct record_sender *r, uint64_t lsn)
{
    struct senders *all = &router->senders;
    const uint8_t *at = (const uint8_t *)(r + 1);
    uint64_t number = r->number ? r->number : lsn;
    struct span name = span_of(at, r->name_len);
    struct sender *s = find_number(all, number), *other = find(all, r->vhost, name);
    if (other && other != s)
        drop(all, other); /* forgotten when it was idle, which isn't said on disk */
    if (!s) {
        s = add(all, r->vhost, name);
        set_number(all, s, number);
    }
    let_all_go(s);
    for (uint32_t i = 0; i < r->count; i++)
        hold(s, get_be16(at + r->name_len + 2 * i));
}

void sender_replay_gone(struct router *router, uint64_t number)
{
    struct sender *s = find_number(&router->senders, number);
    if (s)
        drop(&router->senders, s);
}

void sender_replay_released(struct router *router, const struct record_ids *r)
{
    struct sender *s = find_number(&router->senders, r->number);
    for (uint32_t i = 0; s && i < r->count; i++)
        let_go(s, get_be16((const uint8_t *)(r + 1) + 2 * i));
}

/* One that isn't known is gone, or comes later in the checkpoint that is being read. */
void sender_replay_message(struct router *router, const struct message *m)
{
    struct produced produced = message_produced(m);
    struct sender *s = find_number(&router->senders, produced.producer);
    if (s)
        hold(s, (uint16_t)produced.seq);
}

bool senders_save(struct router *router, uint32_t *slot)
{
    const struct slots *slots = &router->senders.slots;
    for (unsigned n = 0; n < SAVED_AT_ONCE && *slot < slots->count; n++, ++*slot) {
        const struct sender *s = slots->slot[*slot].thing;
        if (s && s->number)
            save(router, s);
    }
    return *slot < slots->count;
}
