#include "router/properties.h"

#include "router/table.h"

/* Flags that name no property: the last two bits, one of which would announce more flags (there are none). */
#define HAS_UNKNOWN 3u

static bool skip(struct span *in, size_t n)
{
    if (in->len < n)
        return false;
    in->at += n;
    in->len -= n;
    return true;
}

static bool take_str(struct span *in, struct span *s)
{
    if (!in->len || in->len < 1u + in->at[0])
        return false;
    *s = span_of(in->at + 1, in->at[0]);
    return skip(in, 1 + s->len);
}

/* What the name of a header says. */
static void mark(struct properties *p, const struct field *field)
{
    if (field->name.len < 2)
        return;
    if (get_be16(field->name.at) != ('x' << 8 | '-')) {
        if (span_is(field->name, "CC") || span_is(field->name, "BCC"))
            p->flags |= HAS_COPIES;
        return;
    }
    if (!(p->flags & HAS_X_HEADER))
        p->own = (struct own_headers){0};
    p->flags |= HAS_X_HEADER;
    const char *wrong = own_headers_add(&p->own, field);
    if (wrong)
        p->wrong = wrong;
}

/* Checks the table and looks at its names in one walk. */
static bool take_headers(struct span *in, struct properties *p)
{
    struct field field;
    if (in->len < 4)
        return false;
    struct span rest = p->headers = span_of(in->at + 4, get_be32(in->at));
    if (!skip(in, 4) || !skip(in, rest.len))
        return false;
    while (rest.len) {
        if (!table_take(&rest, &field))
            return false;
        mark(p, &field);
    }
    if (p->flags & HAS_X_HEADER && !p->wrong)
        p->wrong = own_headers_end(&p->own);
    return true;
}

static bool take_priority(struct span *in, uint8_t *priority)
{
    if (in->len)
        *priority = in->at[0];
    return skip(in, 1);
}

static bool take_timestamp(struct span *in, uint64_t *seconds)
{
    if (in->len >= 8)
        *seconds = get_be64(in->at);
    return skip(in, 8);
}

/* Those before the delivery mode. */
static bool read_first(struct span *in, struct properties *p)
{
    struct span s;
    if ((p->flags & HAS_CONTENT_TYPE && !take_str(in, &s)) ||
        (p->flags & HAS_CONTENT_ENCODING && !take_str(in, &s)))
        return false;
    p->headers = span_of(in->at, 0);
    return !(p->flags & HAS_HEADERS) || take_headers(in, p);
}

/* Four to eight digits, as nearly every expiration is, in eight bytes at once: the first four and the last
 * four overlap, with noughts in front. */
static bool eight_digits(struct span text, uint64_t *ms)
{
    uint32_t first, last;
    memcpy(&first, text.at, sizeof first);
    memcpy(&last, text.at + text.len - sizeof last, sizeof last);
    uint64_t ascii = first | (uint64_t)last << 8 * (text.len - 4), noughts = UINT64_C(0x3030303030303030);
    if (text.len < 8)
        ascii = ascii << 8 * (8 - text.len) | noughts >> 8 * text.len;
    uint64_t digits = ascii - noughts;
    if (((ascii + UINT64_C(0x4646464646464646)) | digits) & UINT64_C(0x8080808080808080))
        return false;
    digits = digits * 10 + (digits >> 8); /* pairs, in every second byte; then fours; then all */
    digits = (digits & UINT64_C(0x00ff00ff00ff00ff)) * 100 + (digits >> 16 & UINT64_C(0x00ff00ff00ff00ff));
    *ms = (digits & 0xffff) * 10000 + (digits >> 32 & 0xffff);
    return true;
}

bool expiration_ms(struct span text, uint64_t *ms)
{
    if (text.len >= 4 && text.len <= 8 && eight_digits(text, ms))
        return true;
    bool negative = text.len && text.at[0] == '-';
    size_t sign = negative || (text.len && text.at[0] == '+');
    uint64_t value = 0;
    for (size_t i = sign; i < text.len && value <= EXPIRATION_MAX; i++) {
        unsigned digit = text.at[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ms = value;
    return text.len > sign && value <= EXPIRATION_MAX && !(negative && value);
}

static bool take_expiration(struct span *in, struct properties *p)
{
    if (!take_str(in, &p->expiration))
        return false;
    if (!expiration_ms(p->expiration, &p->expiration_ms))
        p->flags |= HAS_ODD_EXPIRATION;
    return true;
}

/* Those behind the delivery mode. */
static bool read_last(struct span *in, struct properties *p)
{
    struct span s;
    return (!(p->flags & HAS_PRIORITY) || take_priority(in, &p->priority)) &&
           (!(p->flags & HAS_CORRELATION_ID) || take_str(in, &p->correlation_id)) &&
           (!(p->flags & HAS_REPLY_TO) || take_str(in, &p->reply_to)) &&
           (!(p->flags & HAS_EXPIRATION) || take_expiration(in, p)) &&
           (!(p->flags & HAS_MESSAGE_ID) || take_str(in, &p->message_id)) &&
           (!(p->flags & HAS_TIMESTAMP) || take_timestamp(in, &p->timestamp)) &&
           (!(p->flags & HAS_TYPE) || take_str(in, &s)) &&
           (!(p->flags & HAS_USER_ID) || take_str(in, &p->user_id)) &&
           (!(p->flags & HAS_APP_ID) || take_str(in, &s)) &&
           (!(p->flags & HAS_CLUSTER_ID) || take_str(in, &s));
}

bool properties_read(struct span bytes, struct properties *p)
{
    if (bytes.len < 2)
        return false;
    p->flags = get_be16(bytes.at);
    p->delivery_mode = p->priority = 0;
    p->wrong = NULL;
    bytes = span_of(bytes.at + 2, bytes.len - 2);
    p->headers = span_of(bytes.at, 0);
    if (p->flags & HAS_UNKNOWN)
        return false;
    if (p->flags & (HAS_CONTENT_TYPE | HAS_CONTENT_ENCODING | HAS_HEADERS) && !read_first(&bytes, p))
        return false;
    if (p->flags & HAS_DELIVERY_MODE) {
        if (!bytes.len)
            return false;
        p->delivery_mode = bytes.at[0];
        if (p->delivery_mode != DELIVERY_TRANSIENT && p->delivery_mode != DELIVERY_PERSISTENT)
            p->flags |= HAS_ODD_DELIVERY_MODE;
        skip(&bytes, 1);
    }
    if (p->flags & (HAS_DELIVERY_MODE - 1) && !read_last(&bytes, p))
        return false;
    return bytes.len == 0;
}

size_t properties_add(uint8_t *to, struct span properties, struct span headers)
{
    uint16_t flags = get_be16(properties.at);
    const uint8_t *at = properties.at + 2, *end = properties.at + properties.len;
    uint8_t *start = to;
    at += flags & HAS_CONTENT_TYPE ? 1 + *at : 0;
    at += flags & HAS_CONTENT_ENCODING ? 1 + *at : 0;
    struct span old = flags & HAS_HEADERS ? span_of(at + 4, get_be32(at)) : span_of(at, 0);
    to = put_be16(to, flags | HAS_HEADERS);
    to = put_span(to, span_of(properties.at + 2, (size_t)(at - properties.at - 2)));
    to = put_be32(to, (uint32_t)(old.len + headers.len));
    to = put_span(put_span(to, old), headers);
    at = old.at + old.len;
    return (size_t)(put_span(to, span_of(at, (size_t)(end - at))) - start);
}

int64_t header_delay(struct span headers)
{
    struct field field;
    int64_t ms;
    return headers.len && table_find(headers, "x-delay", &field) && field_int(&field, &ms) ? ms : 0;
}
