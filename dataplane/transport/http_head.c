#include "transport/http_head.h"

#include <strings.h>

static bool is_token(struct span s)
{
    static const char other[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alphanumeric && (c == 0 || !strchr(other, c)))
            return false;
    }
    return s.len > 0;
}

/* Neither a control character nor, in a target, a blank or a byte that URIs don't have. */
static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~')
            return false;
    return s.len > 0;
}

static bool is_value(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.at[i] < ' ' && s.at[i] != '\t') || s.at[i] == 0x7f)
            return false;
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trimmed(struct span s)
{
    while (s.len && is_blank(s.at[0]))
        s = span_of(s.at + 1, s.len - 1);
    while (s.len && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* Takes what is before the first c off, and c; all of it if there is none. */
static struct span cut(struct span *s, uint8_t c)
{
    const uint8_t *at = s->len ? memchr(s->at, c, s->len) : NULL;
    size_t n = at ? (size_t)(at - s->at) : s->len;
    struct span before = span_of(s->at, n);
    *s = span_of(s->at + n + (at != NULL), s->len - n - (at != NULL));
    return before;
}

size_t http_head_length(struct span bytes, size_t seen)
{
    static const char end[] = "\r\n\r\n";
    size_t from = seen < sizeof end - 2 ? 0 : seen - (sizeof end - 2);
    const uint8_t *at =
        bytes.len - from ? memmem(bytes.at + from, bytes.len - from, end, sizeof end - 1) : NULL;
    return at ? (size_t)(at - bytes.at) + sizeof end - 1 : 0;
}

bool http_head_request(struct http_head *head, struct span line)
{
    head->method = cut(&line, ' ');
    head->target = cut(&line, ' ');
    head->version = line;
    return is_token(head->method) && is_visible(head->target) && is_visible(head->version);
}

static bool parse_field(struct http_head *head, struct span line)
{
    struct http_field *field = &head->field[head->fields++];
    size_t all = line.len;
    field->name = cut(&line, ':');
    field->value = trimmed(line);
    return field->name.len < all && is_token(field->name) && is_value(field->value);
}

/* A line without its CR LF; a bare CR or LF stays in it, where nothing allows it. */
static struct span next_line(struct span *rest)
{
    const uint8_t *at = memmem(rest->at, rest->len, "\r\n", 2);
    struct span line = span_of(rest->at, (size_t)(at - rest->at));
    *rest = span_of(at + 2, rest->len - line.len - 2);
    return line;
}

const char *http_head_parse(struct http_head *head, struct span bytes)
{
    struct span line;
    head->fields = 0;
    if (!http_head_request(head, next_line(&bytes)))
        return "The first line is no request line of HTTP.";
    while ((line = next_line(&bytes)).len) {
        if (head->fields == HTTP_FIELDS_MAX)
            return "There are too many header fields.";
        if (!parse_field(head, line))
            return "A line of the header is no header field.";
    }
    return NULL;
}

bool http_same(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp((const char *)a.at, (const char *)b.at, a.len) == 0);
}

const struct http_field *http_head_field(const struct http_head *head, const char *name,
                                         const struct http_field *behind)
{
    const struct http_field *end = head->field + head->fields;
    for (const struct http_field *field = behind ? behind + 1 : head->field; field < end; field++)
        if (http_same(field->name, span_str(name)))
            return field;
    return NULL;
}

bool http_list_next(struct span *list, struct span *element)
{
    while (list->len) {
        *element = trimmed(cut(list, ','));
        if (element->len)
            return true;
    }
    return false;
}

bool http_head_lists(const struct http_head *head, const char *name, const char *wanted)
{
    for (const struct http_field *field = NULL; (field = http_head_field(head, name, field));) {
        struct span list = field->value, element;
        while (http_list_next(&list, &element))
            if (http_same(element, span_str(wanted)))
                return true;
    }
    return false;
}
