#include "router/image.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/properties.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/table.h"
#include "router/word_tree.h"

#define KEY_IS_ROUTING_KEY "routing-key"

/* ---- keys ---------------------------------------------------------------------------------------- */

static bool is_named(const struct map_node *node, const void *name)
{
    const struct image_key *k = container_of(node, struct image_key, by_name);
    return span_equal(span_of(k->name, k->len), *(const struct span *)name);
}

static struct image_key *find(const struct image *image, struct span name)
{
    struct map_node *node = map_find(&image->keys, hash_keyed(name, 0), is_named, &name);
    return node ? container_of(node, struct image_key, by_name) : NULL;
}

static void key_append(struct image *image, struct image_key *k)
{
    k->next = NULL;
    k->prev = image->last;
    *(image->last ? &image->last->next : &image->first) = k;
    image->last = k;
}

/* At the end of the list: the caller sees to the order. */
static struct image_key *add(struct image *image, struct span name, uint64_t order)
{
    struct image_key *k = calloc(1, sizeof *k + name.len);
    CHECK(k);
    k->order = order;
    k->len = (uint32_t)name.len;
    put_span(k->name, name);
    map_add(&image->keys, &k->by_name, hash_keyed(name, 0));
    if (image->names)
        k->node = word_tree_add(image->names, name, k);
    key_append(image, k);
    if (order >= image->order)
        image->order = order + 1;
    return k;
}

static struct image_key *find_or_add(struct image *image, struct span name)
{
    struct image_key *k = find(image, name);
    return k ? k : add(image, name, image->order);
}

/* Of a message with this routing key and these headers. Integers of other sizes are other keys. */
static struct span key_of(const struct queue *queue, struct span routing_key, struct span headers)
{
    struct span name = queue->shape->settings.text[SETTING_LAST_VALUE];
    struct field field;
    if (span_is(name, KEY_IS_ROUTING_KEY))
        return routing_key;
    while (table_next(&headers, &field))
        if (span_equal(field.name, name))
            return field.value;
    return span_of("", 0);
}

struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof *image);
    CHECK(image);
    map_init(&image->keys);
    image->order = 1;
    return image;
}

/* Not off the list. */
static void key_free(struct image *image, struct image_key *k)
{
    map_remove(&image->keys, &k->by_name);
    if (k->node)
        word_tree_remove(image->names, k->node);
    free(k);
}

static void forget_all(struct image *image)
{
    for (struct image_key *k = image->first, *next; k; k = next) {
        next = k->next;
        key_free(image, k);
    }
    image->first = image->last = image->swept = NULL;
    image->saving = NULL;
}

void image_free(struct image *image)
{
    if (!image)
        return;
    forget_all(image);
    map_free(&image->keys);
    if (image->names)
        word_tree_free(image->names);
    free(image->names);
    free(image);
}

/* ---- values -------------------------------------------------------------------------------------- */

static void replace(struct router *router, struct queue *queue, struct image_key *k, uint64_t seq)
{
    uint64_t old = k->seq;
    struct entry *entry = old ? index_at(&queue->index, old) : NULL;
    k->seq = seq;
    if (entry)
        stream_replace(router, queue, old, entry);
}

static void forget(struct router *router, struct queue *queue, struct image_key *k)
{
    struct image *image = queue->stream->image;
    replace(router, queue, k, 0);
    *(k->prev ? &k->prev->next : &image->first) = k->next;
    *(k->next ? &k->next->prev : &image->last) = k->prev;
    if (image->saving == k)
        image->saving = k->next;
    if (image->swept == k)
        image->swept = k->next;
    key_free(image, k);
}

static void sweep(struct router *router, struct queue *queue)
{
    struct image *image = queue->stream->image;
    for (unsigned looks = 0; looks < 2 && image->first; looks++) {
        struct image_key *k = image->swept ? image->swept : image->first;
        uint64_t expires = index_note(&queue->index, k->seq).expires;
        image->swept = k->next;
        if (expires && expires <= router_wall_ms(router))
            forget(router, queue, k);
    }
}

void image_push(struct router *router, struct queue *queue, struct entry entry, const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    struct span key = key_of(queue, span_of(c->bytes, c->key_len), command_headers(c));
    if (queue->index.has_notes)
        sweep(router, queue);
    struct image_key *k = find_or_add(queue->stream->image, key);
    replace(router, queue, k, queue_push_noted(router, queue, entry, shape_note(queue, p->marks)));
}

void image_forget(struct router *router, struct queue *queue, struct span name)
{
    struct image_key *k = find(queue->stream->image, name);
    if (k)
        forget(router, queue, k);
}

void image_clear(struct router *router, struct queue *queue)
{
    stream_forget_image(router, queue);
    forget_all(queue->stream->image);
}

/* ---- names --------------------------------------------------------------------------------------- */

void image_find_names(struct image *image)
{
    CHECK(!image->first);
    image->names = malloc(sizeof *image->names);
    CHECK(image->names);
    word_tree_init(image->names);
}

void image_match_names(const struct image *image, struct span pattern,
                       void (*visit)(void *owner, void *image_key), void *owner)
{
    word_tree_match(image->names, pattern, visit, owner);
}

/* ---- readers ------------------------------------------------------------------------------------- */

void image_join(const struct image *image, struct image_cursor *cursor)
{
    cursor->at = image->first;
}

void image_leave(struct image_cursor *cursor)
{
    fifo_free(&cursor->sent);
    cursor->at = NULL;
}

void image_was_sent(struct image_cursor *cursor, uint64_t seq)
{
    *fifo_add(&cursor->sent) = (struct image_sent){seq, cursor->at};
    cursor->at = cursor->at->next;
}

bool image_resume(const struct image *image, struct image_cursor *cursor, uint64_t seen, uint64_t start)
{
    if (seen < cursor->from) /* nothing of an interval has come to the client, so it hasn't begun */
        cursor->from = cursor->limit = cursor->next_ns = 0;
    if (seen >= start) {
        image_leave(cursor);
        return false;
    }
    while (cursor->sent.count && fifo_at(&cursor->sent, cursor->sent.count - 1)->seq != seen)
        cursor->sent.count--;
    cursor->at =
        cursor->sent.count ? fifo_at(&cursor->sent, cursor->sent.count - 1)->key->next : image->first;
    return true;
}

uint64_t image_limit(const struct queue *queue, struct image_cursor *cursor, uint64_t seq, uint64_t tail,
                     uint64_t now_ns, uint64_t *wake_ns)
{
    uint64_t interval = queue->shape->settings.value[SETTING_CONFLATION];
    *wake_ns = 0;
    if (interval == NO_LIMIT)
        return tail;
    if (seq < cursor->limit)
        return cursor->limit < tail ? cursor->limit : tail;
    if (now_ns >= cursor->next_ns && seq < tail) {
        cursor->from = seq;
        cursor->limit = tail;
        cursor->next_ns = now_ns + interval * 1000000;
        return tail;
    }
    *wake_ns = seq < tail ? cursor->next_ns : 0;
    return seq;
}

/* ---- recovery ------------------------------------------------------------------------------------ */

static void replay_value(struct router *router, struct queue *queue, struct image_key *k, uint64_t seq)
{
    if (seq > k->seq)
        replace(router, queue, k, seq);
    else if (seq < k->seq && index_at(&queue->index, seq))
        queue_kill(router, queue, seq, index_at(&queue->index, seq));
}

void image_replay(struct router *router, struct queue *queue, uint64_t seq, const struct message *m)
{
    struct properties p;
    if (!properties_read(message_properties(m), &p))
        return;
    replay_value(router, queue, find_or_add(queue->stream->image, key_of(queue, message_key(m), p.headers)),
                 seq);
}

void image_replay_keys(struct router *router, struct queue *queue, const struct record_keys *r)
{
    struct image *image = queue->stream->image;
    const uint8_t *at = (const uint8_t *)(r + 1);
    for (uint32_t i = 0; i < r->count; i++) {
        struct saved_key saved;
        memcpy(&saved, at, sizeof saved);
        struct span name = span_of(at + sizeof saved, saved.len);
        struct image_key *k = find(image, name);
        k = k ? k : add(image, name, saved.order);
        k->order = saved.order;
        replay_value(router, queue, k, saved.seq);
        at = name.at + name.len;
    }
}

static int by_order(const void *a, const void *b)
{
    uint64_t x = (*(struct image_key *const *)a)->order, y = (*(struct image_key *const *)b)->order;
    return (x > y) - (x < y);
}

void image_replayed(struct queue *queue)
{
    struct image *image = queue->stream->image;
    struct image_key **keys = malloc((image->keys.count + 1) * sizeof *keys);
    size_t n = 0;
    CHECK(keys);
    for (struct image_key *k = image->first, *next; k; k = next) {
        next = k->next;
        keys[n++] = k;
        if (index_at(&queue->index, k->seq))
            continue;
        key_free(image, k);
        n--;
    }
    qsort(keys, n, sizeof *keys, by_order);
    image->first = image->last = image->swept = NULL;
    for (size_t i = 0; i < n; i++) {
        key_append(image, keys[i]);
        if (keys[i]->order >= image->order)
            image->order = keys[i]->order + 1;
    }
    free(keys);
}

/* ---- checkpoints --------------------------------------------------------------------------------- */

/* Keys of one record, from `saving` on, as far as they have values. Returns their bytes. */
static size_t measure(const struct image *image, uint32_t *count, const struct image_key **end)
{
    size_t bytes = 0;
    const struct image_key *k = image->saving;
    *count = 0;
    for (; k && (bytes == 0 || bytes + sizeof(struct saved_key) + k->len <= PAGE_BYTES / 4); k = k->next) {
        bytes += sizeof(struct saved_key) + k->len;
        ++*count;
    }
    *end = k;
    return bytes;
}

bool image_save(struct router *router, const struct queue *queue, bool begin)
{
    struct image *image = queue->stream->image;
    const struct image_key *end;
    uint32_t count;
    if (begin)
        image->saving = image->first;
    if (!image->saving)
        return false;
    persist_settled_flush(router);
    size_t bytes = measure(image, &count, &end);
    struct record_keys *r = (struct record_keys *)store_begin(&router->store, true, sizeof *r + bytes);
    r->record.type = RECORD_KEYS;
    r->queue = queue->number;
    r->count = count;
    uint8_t *to = (uint8_t *)(r + 1);
    for (const struct image_key *k = image->saving; k != end; k = k->next) {
        struct saved_key saved = {.seq = k->seq, .order = k->order, .len = k->len};
        to = put_span(put_span(to, span_of(&saved, sizeof saved)), span_of(k->name, k->len));
    }
    store_end(&router->store);
    image->saving = end;
    return end;
}
