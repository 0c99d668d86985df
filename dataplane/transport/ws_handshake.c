#include "transport/ws_handshake.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/check.h"
#include "transport/http_head.h"

enum { KEY_TEXT = 24, /* of 16 bytes, in base 64 */ SHA1_BYTES = 20, ACCEPT_TEXT = 28 };

/* What every server's answer is derived with (RFC 6455, section 1.3). */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* ---- answers -------------------------------------------------------------------------------------- */

struct status {
    unsigned code;
    const char *phrase, *fields;
};

static const struct status statuses[] = {
    {400, "Bad Request", ""},
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET\r\n"},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {431, "Request Header Fields Too Large", ""},
    {503, "Service Unavailable", ""},
    {505, "HTTP Version Not Supported", ""},
};

void ws_refuse(struct ws_answer *answer, unsigned status, const char *why)
{
    const struct status *row = statuses;
    while (row->code != status)
        row++;
    answer->status = status;
    answer->why = why;
    int n = snprintf((char *)answer->bytes, sizeof answer->bytes,
                     "HTTP/1.1 %u %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
                     "Connection: %s\r\n\r\n%s\n",
                     row->code, row->phrase, row->fields, strlen(why) + 1,
                     status == 426 ? "close, Upgrade" : "close", why);
    CHECK(n > 0 && n < WS_ANSWER_MAX);
    answer->len = (size_t)n;
}

static void welcome(struct ws_answer *answer, struct span key, const char *protocol)
{
    uint8_t text[KEY_TEXT + sizeof guid], sum[SHA1_BYTES], accept[ACCEPT_TEXT + 1];
    uint8_t *end = put_span(put_span(text, key), span_str(guid));
    CHECK(EVP_Digest(text, (size_t)(end - text), sum, NULL, EVP_sha1(), NULL) == 1);
    CHECK(EVP_EncodeBlock(accept, sum, sizeof sum) == ACCEPT_TEXT);
    int n = snprintf((char *)answer->bytes, sizeof answer->bytes,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                     (const char *)accept, protocol ? "Sec-WebSocket-Protocol: " : "",
                     protocol ? protocol : "", protocol ? "\r\n" : "");
    CHECK(n > 0 && n < WS_ANSWER_MAX);
    answer->status = 101;
    answer->len = (size_t)n;
}

/* ---- what the request asks for -------------------------------------------------------------------- */

/* The only field of this name. *several: there are more. */
static const struct http_field *only(const struct http_head *head, const char *name, bool *several)
{
    const struct http_field *field = http_head_field(head, name, NULL);
    *several = field && http_head_field(head, name, field);
    return field;
}

/* "/ws?x" of it, or of "http://host/ws?x", whose host is then the one that counts (RFC 9112, section 3.2.2).
 */
static struct span path_of(struct span target, struct span *host)
{
    size_t scheme = http_same(span_of(target.at, target.len < 7 ? target.len : 7), span_str("http://")) ? 7
                    : http_same(span_of(target.at, target.len < 8 ? target.len : 8), span_str("https://"))
                        ? 8
                        : 0;
    size_t n = scheme;
    if (scheme) {
        while (n < target.len && target.at[n] != '/' && target.at[n] != '?')
            n++;
        *host = span_of(target.at + scheme, n - scheme);
    }
    size_t end = n;
    while (end < target.len && target.at[end] != '?')
        end++;
    return span_of(target.at + n, end - n);
}

static bool is_key(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.at[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' ||
                     c == '/';
        if (digit != (i < KEY_TEXT - 2) || (!digit && c != '='))
            return false;
    }
    return key.len == KEY_TEXT;
}

/* The best of what both speak; NULL: nothing. *asked: the client has named any. */
static const char *protocol_of(const struct http_head *head, const struct ws_speech *speech, bool *asked)
{
    static const char name[] = "Sec-WebSocket-Protocol";
    *asked = http_head_field(head, name, NULL);
    for (const char *const *ours = speech->protocols; *ours; ours++)
        for (const struct http_field *field = NULL; (field = http_head_field(head, name, field));) {
            struct span list = field->value, element;
            while (http_list_next(&list, &element))
                if (span_is(element, *ours))
                    return *ours;
        }
    return NULL;
}

/* ---- whose page it comes from --------------------------------------------------------------------- */

/* "host" of "host:80", "[::1]" of "[::1]:80" */
static struct span without_port(struct span host)
{
    size_t n = host.len;
    while (n && host.at[n - 1] >= '0' && host.at[n - 1] <= '9')
        n--;
    return n && host.at[n - 1] == ':' ? span_of(host.at, n - 1) : host;
}

static bool same_host(struct span origin, struct span host)
{
    const uint8_t *at = memmem(origin.at, origin.len, "://", 3);
    if (!at)
        return false;
    size_t skip = (size_t)(at - origin.at) + 3;
    return http_same(without_port(span_of(origin.at + skip, origin.len - skip)), without_port(host));
}

static bool may_come(const struct ws_origins *origins, struct span origin, struct span host)
{
    for (unsigned i = 0; i < origins->count; i++)
        if (strcmp(origins->item[i], "*") == 0 || http_same(origin, span_str(origins->item[i])))
            return true;
    return origins->count == 0 && same_host(origin, host);
}

/* ---- the request ---------------------------------------------------------------------------------- */

/* The first line, as soon as it is there. Returns whether it is well. */
static bool check_request(const struct http_head *head, struct ws_answer *answer)
{
    if (!span_is(head->version, "HTTP/1.1"))
        ws_refuse(answer, span_starts(head->version, "HTTP/") ? 505 : 400,
                  "WebSocket is spoken here, which begins with HTTP/1.1.");
    else if (!span_is(head->method, "GET"))
        ws_refuse(answer, 405, "WebSocket is spoken here, which begins with GET.");
    else
        return true;
    return false;
}

static bool check_upgrade(const struct http_head *head, struct ws_answer *answer)
{
    bool several;
    const struct http_field *version = only(head, "Sec-WebSocket-Version", &several);
    if (!http_head_lists(head, "Connection", "Upgrade") || !http_head_lists(head, "Upgrade", "websocket"))
        ws_refuse(answer, 426, "WebSocket is spoken here: the request must ask to upgrade to it.");
    else if (!version || several || !span_is(version->value, "13"))
        ws_refuse(answer, 426, "Version 13 of WebSocket is spoken here: Sec-WebSocket-Version must say so.");
    else
        return true;
    return false;
}

static bool has_body(const struct http_head *head)
{
    const struct http_field *length = http_head_field(head, "Content-Length", NULL);
    return (length && !span_is(length->value, "0")) || http_head_field(head, "Transfer-Encoding", NULL);
}

static void decide(const struct http_head *head, const struct ws_speech *speech,
                   const struct ws_origins *origins, struct ws_answer *answer)
{
    bool hosts, keys, pages, asked;
    const struct http_field *host_field = only(head, "Host", &hosts),
                            *key = only(head, "Sec-WebSocket-Key", &keys),
                            *page = only(head, "Origin", &pages);
    struct span host = host_field ? host_field->value : span_of(NULL, 0), path = path_of(head->target, &host);
    const char *protocol = protocol_of(head, speech, &asked);
    if (!check_request(head, answer))
        return;
    if (!host_field || hosts || host.len == 0)
        ws_refuse(answer, 400, "The header must name one Host.");
    else if (has_body(head))
        ws_refuse(answer, 400, "The request has a body, which one for WebSocket has not.");
    else if (!span_is(path, "/ws"))
        ws_refuse(answer, 404, "There is nothing here: WebSocket is spoken at /ws.");
    else if (!check_upgrade(head, answer))
        return;
    else if (!key || keys || !is_key(key->value))
        ws_refuse(answer, 400, "The header must have one Sec-WebSocket-Key of 16 bytes in base 64.");
    else if (pages)
        ws_refuse(answer, 400, "The header names more than one Origin.");
    else if (page && !may_come(origins, page->value, host))
        ws_refuse(answer, 403, "Pages of this origin may not connect (web.origins).");
    else if (speech->required && !protocol)
        ws_refuse(answer, 400,
                  asked ? "None of the protocols in Sec-WebSocket-Protocol is spoken here."
                        : "The header must name what is to be spoken in Sec-WebSocket-Protocol.");
    else
        welcome(answer, key->value, protocol);
}

/* Whether there are bytes in what has come of the first line that none has. */
static bool is_line(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] < ' ' || bytes.at[i] > '~')
            return i == bytes.len - 1 && bytes.at[i] == '\r';
    return true;
}

/* Whether this may be a request, as far as it has come. */
static bool check_beginning(struct span bytes, struct ws_answer *answer)
{
    struct http_head head;
    const uint8_t *end = memchr(bytes.at, '\n', bytes.len);
    struct span line = span_of(bytes.at, end ? (size_t)(end - bytes.at) : bytes.len);
    bool well = line.len && line.at[0] >= 'A' && line.at[0] <= 'Z' && is_line(line);
    if (well && end)
        well = end[-1] == '\r' && http_head_request(&head, span_of(line.at, line.len - 1));
    if (!well)
        ws_refuse(answer, 400, "WebSocket is spoken here, and this is no request of HTTP.");
    return well && (!end || check_request(&head, answer));
}

size_t ws_handshake(struct span bytes, size_t *seen, const struct ws_speech *speech,
                    const struct ws_origins *origins, struct ws_answer *answer)
{
    struct http_head head;
    if (bytes.len == 0)
        return 0;
    if (!check_beginning(bytes, answer))
        return bytes.len;
    size_t length = http_head_length(bytes, *seen);
    *seen = bytes.len;
    if (length > WS_HEAD_MAX || (!length && bytes.len >= WS_HEAD_MAX)) {
        ws_refuse(answer, 431, "The request's header is too large.");
        return bytes.len;
    }
    if (!length)
        return 0;
    const char *wrong = http_head_parse(&head, span_of(bytes.at, length));
    if (wrong)
        ws_refuse(answer, 400, wrong);
    else
        decide(&head, speech, origins, answer);
    return answer->status == 101 ? length : bytes.len;
}
