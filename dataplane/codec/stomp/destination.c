#include "codec/stomp/destination.h"

#include "base/limits.h"

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %xx, in the buffer for names of this kind. False: too long, or no such escape. */
static bool decode(struct span from, uint8_t *buffer, struct span *name)
{
    size_t n = 0;
    for (size_t i = 0; i < from.len; i++) {
        uint8_t c = from.at[i];
        if (c == '%' && i + 2 < from.len && hex(from.at[i + 1]) >= 0 && hex(from.at[i + 2]) >= 0) {
            c = (uint8_t)(hex(from.at[i + 1]) << 4 | hex(from.at[i + 2]));
            i += 2;
        }
        if (n == NAME_MAX_BYTES)
            return false;
        buffer[n++] = c;
    }
    *name = span_of(buffer, n);
    return true;
}

static bool after(struct span text, const char *prefix, struct span *rest)
{
    size_t len = strlen(prefix);
    if (!span_starts(text, prefix))
        return false;
    *rest = span_of(text.at + len, text.len - len);
    return rest->len > 0;
}

static bool is_whole(struct span rest)
{
    return !memchr(rest.at, '/', rest.len);
}

bool stomp_destination_read(struct span text, struct stomp_destination *d)
{
    static _Thread_local uint8_t key[NAME_MAX_BYTES], exchange[NAME_MAX_BYTES];
    struct span rest;
    *d = (struct stomp_destination){.exchange = span_of("", 0), .key = span_of("", 0)};
    if (after(text, "/queue/", &rest))
        return d->kind = STOMP_TO_QUEUE, is_whole(rest) && decode(rest, key, &d->key);
    if (after(text, "/amq/queue/", &rest))
        return d->kind = STOMP_TO_AMQ_QUEUE, is_whole(rest) && decode(rest, key, &d->key);
    if (after(text, "/reply-queue/", &rest))
        return d->kind = STOMP_TO_REPLY_QUEUE, decode(rest, key, &d->key);
    if (after(text, "/temp-queue/", &rest))
        return d->kind = STOMP_TO_TEMPORARY, decode(rest, key, &d->key);
    if (after(text, "/topic/", &rest)) {
        d->kind = STOMP_TO_TOPIC;
        d->exchange = span_str("amq.topic");
        return is_whole(rest) && decode(rest, key, &d->key);
    }
    if (!after(text, "/exchange/", &rest))
        return false;
    d->kind = STOMP_TO_EXCHANGE;
    const uint8_t *slash = memchr(rest.at, '/', rest.len);
    struct span name = span_of(rest.at, slash ? (size_t)(slash - rest.at) : rest.len);
    struct span behind = slash ? span_of(slash + 1, rest.len - name.len - 1) : span_of("", 0);
    return name.len && is_whole(behind) && decode(name, exchange, &d->exchange) &&
           decode(behind, key, &d->key);
}

static uint8_t *put_encoded(uint8_t *to, struct span s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        if (c > ' ' && c < 127 && c != '/' && c != '%')
            to = put_u8(to, c);
        else
            to = put_u8(put_u8(put_u8(to, '%'), (uint8_t)digits[c >> 4]), (uint8_t)digits[c & 15]);
    }
    return to;
}

uint8_t *stomp_destination_put(uint8_t *to, struct span exchange, struct span key)
{
    if (!exchange.len)
        return put_encoded(put_span(to, span_str("/queue/")), key);
    if (span_is(exchange, "amq.topic"))
        return put_encoded(put_span(to, span_str("/topic/")), key);
    to = put_u8(put_encoded(put_span(to, span_str("/exchange/")), exchange), '/');
    return put_encoded(to, key);
}
