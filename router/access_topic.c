/* Topic permissions: of a user, by virtual host and exchange. */
#include <stdlib.h>

#include "base/check.h"
#include "router/access_inside.h"

struct access_topic *access_topic_of(const struct access_user *user, uint32_t vhost, struct span exchange)
{
    struct access_topic *topic = user->topics;
    while (topic && !(topic->vhost == vhost && span_equal(topic->exchange, exchange)))
        topic = topic->next;
    return topic;
}

void access_topic_put(struct access_user *user, uint32_t vhost, const struct access_change *change)
{
    const struct span *exchange = &change->text[TEXT_EXCHANGE];
    access_topic_remove(user, vhost, exchange);
    struct access_topic *topic = calloc(1, sizeof *topic);
    CHECK(topic);
    topic->vhost = vhost;
    topic->exchange = access_copy(*exchange);
    topic->write = access_copy(change->text[TEXT_WRITE]);
    topic->read = access_copy(change->text[TEXT_READ]);
    topic->next = user->topics;
    user->topics = topic;
}

void access_topic_remove(struct access_user *user, uint32_t vhost, const struct span *exchange)
{
    for (struct access_topic **at = &user->topics, *topic; (topic = *at);) {
        if (topic->vhost != vhost || (exchange && !span_equal(topic->exchange, *exchange))) {
            at = &topic->next;
            continue;
        }
        *at = topic->next;
        access_drop(topic->exchange);
        access_drop(topic->write);
        access_drop(topic->read);
        free(topic);
    }
}

bool access_has_topics(const struct access *access, struct span user, uint32_t vhost)
{
    const struct access_user *u = access_user_of(access, user);
    const struct access_topic *topic = u ? u->topics : NULL;
    while (topic && topic->vhost != vhost)
        topic = topic->next;
    return topic;
}

const struct access_topic *access_topic(const struct access *access, struct span user, uint32_t vhost,
                                        struct span exchange)
{
    const struct access_user *u = access_user_of(access, user);
    return u ? access_topic_of(u, vhost, exchange) : NULL;
}

/* ---- names in patterns --------------------------------------------------------------------------------- */

static bool is_word(uint8_t c)
{
    return c >= 128 || c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Each byte that could mean something in a pattern gets a backslash. */
static uint8_t *put_literal(uint8_t *to, struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_word(name.at[i]))
            *to++ = '\\';
        *to++ = name.at[i];
    }
    return to;
}

/* The variable that begins there, and its name's length; NULL: none does. */
static const struct span *variable(struct span at, const struct access_names *names, size_t *len)
{
    const struct {
        const char *word;
        const struct span *name;
    } known[] = {
        {"{username}", &names->user}, {"{vhost}", &names->vhost}, {"{client_id}", &names->client_id}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].name->at && span_starts(at, known[i].word)) {
            *len = strlen(known[i].word);
            return known[i].name;
        }
    return NULL;
}

/* Counts if `to` is NULL. */
static size_t expand(uint8_t *to, struct span source, const struct access_names *names)
{
    uint8_t *start = to;
    size_t bytes = 0, len;
    while (source.len) {
        const struct span *name = variable(source, names, &len);
        len = name ? len : 1;
        bytes += name ? 2 * name->len : 1;
        if (to)
            to = name ? put_literal(to, *name) : put_u8(to, source.at[0]);
        source = span_of(source.at + len, source.len - len);
    }
    return to ? (size_t)(to - start) : bytes;
}

struct pattern *access_topic_pattern(const struct access_topic *topic, enum access_right right,
                                     const struct access_names *names)
{
    struct span source = right == RIGHT_WRITE ? topic->write : topic->read;
    uint8_t *bytes = malloc(expand(NULL, source, names) + 1);
    char why[256];
    CHECK(bytes && right != RIGHT_CONFIGURE);
    struct pattern *pattern = pattern_compile(span_of(bytes, expand(bytes, source, names)), why, sizeof why);
    free(bytes);
    return pattern;
}
