/* Who is let in by WebSocket, and what the others are told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "transport/http_head.h"
#include "ws_site.h"

#define LINE     "GET /ws HTTP/1.1\r\n"
#define HOST     "Host: broker.example:15675\r\n"
#define UPGRADE  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION  "Sec-WebSocket-Version: 13\r\n"
#define KEY      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"
#define REST     UPGRADE VERSION KEY PROTOCOL
#define END      "\r\n"

static const char *const mqtt[] = {"mqtt", "mqttv3.1", NULL};
static const struct ws_speech required = {.protocols = mqtt, .required = true, .binary = true};
static const struct ws_speech optional = {.protocols = mqtt};
static const struct ws_origins same_host;

/* Returns the status, with the answer; it must be the same at whatever place the request is cut. */
static unsigned ask(struct span request, const struct ws_speech *speech, const struct ws_origins *origins,
                    struct ws_answer *answer)
{
    size_t seen = 0;
    cr_assert_gt(ws_handshake(request, &seen, speech, origins, answer), 0, "no answer");
    for (size_t cut = 0; cut < request.len; cut++) {
        struct ws_answer other;
        seen = 0;
        size_t used = ws_handshake(span_of(request.at, cut), &seen, speech, origins, &other);
        if (used == 0)
            used = ws_handshake(request, &seen, speech, origins, &other);
        cr_assert(used && other.status == answer->status && other.len == answer->len &&
                      memcmp(other.bytes, answer->bytes, other.len) == 0,
                  "cut at %zu: %u instead of %u", cut, other.status, answer->status);
    }
    return answer->status;
}

static unsigned status(const char *request, const struct ws_speech *speech)
{
    struct ws_answer answer;
    return ask(span_str(request), speech, &same_host, &answer);
}

static bool says(const struct ws_answer *answer, const char *text)
{
    return memmem(answer->bytes, answer->len, text, strlen(text));
}

/* The example of RFC 6455, section 1.3. */
Test(transport_ws_handshake, the_answer_is_derived_from_the_key)
{
    struct ws_answer answer;
    cr_assert_eq(ask(span_str(LINE HOST REST END), &required, &same_host, &answer), 101);
    cr_assert(span_is(
        span_of(answer.bytes, answer.len),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"));
    cr_assert_eq(ask(span_str(LINE HOST UPGRADE VERSION KEY END), &optional, &same_host, &answer), 101);
    cr_assert(!says(&answer, "Protocol:"));
}

Test(transport_ws_handshake, what_is_right_in_other_words)
{
    static const char *const requests[] = {
        "GET /ws?token=1/2 HTTP/1.1\r\n" HOST REST END,
        "GET http://other.example/ws HTTP/1.1\r\n" HOST REST END,
        "GET HTTPS://other.example:1/ws?x HTTP/1.1\r\n" HOST REST END,
        LINE "hOsT:broker\r\nuPGRADE: \t WebSocket \r\nconnection: keep-alive,  upgrade\r\n" VERSION KEY
            PROTOCOL END,
        LINE HOST
        "Upgrade: h2c\r\nUpgrade: x, websocket\r\nConnection: a\r\nConnection: Upgrade,b\r\n" VERSION KEY
            PROTOCOL END,
        LINE HOST REST "X-Empty:\r\nX-Latin: gr\xfc\xdf\r\nContent-Length: 0\r\n" END,
        LINE HOST UPGRADE VERSION KEY
        "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y , mqttv3.1\r\n" END,
        LINE HOST REST "Sec-WebSocket-Extensions: permessage-deflate\r\n" END,
        LINE HOST REST "Origin: http://broker.example\r\n" END,
        LINE HOST REST "Origin: https://BROKER.example:8080\r\n" END,
        LINE "Host: [::1]:15675\r\n" REST "Origin: http://[::1]\r\n" END,
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        cr_assert_eq(status(requests[i], &required), 101, "request %zu", i);
}

static const struct {
    unsigned status;
    const char *request;
} wrongs[] = {
    {405, "POST /ws HTTP/1.1\r\n" HOST REST END},
    {405, "HEAD /ws HTTP/1.1\r\n"},
    {400, "get /ws HTTP/1.1\r\n"},
    {505, "GET /ws HTTP/1.0\r\n" HOST REST END},
    {505, "GET /ws HTTP/2.0\r\n"},
    {400, "GET /ws HTTP/1.1 \r\n"},
    {400, "GET  /ws HTTP/1.1\r\n"},
    {400, "GET /ws\r\n"},
    {400, "GET /ws HTTP/1.1\n"},
    {400, "GET /w\ts HTTP/1.1\r\n"},
    {400, "GET /ws XTTP/1.1\r\n"},
    {400, "CONNECT\naccept-version:1.2\n\n"},
    {400, "\x10\x0c\0\4MQTT"},
    {400, "\x16\x03\x01"},
    {400, "AMQP\x01"},
    {400, "GET /ws\x7f"},
    {400, "GET /gr\xc3"},
    {400, "GET /ws HTTP/1.1\rX"},
    {400, "\r\n" LINE HOST REST END},
    {404, "GET / HTTP/1.1\r\n" HOST REST END},
    {404, "GET /ws/ HTTP/1.1\r\n" HOST REST END},
    {404, "GET /WS HTTP/1.1\r\n" HOST REST END},
    {404, "GET ws HTTP/1.1\r\n" HOST REST END},
    {404, "GET * HTTP/1.1\r\n" HOST REST END},
    {404, "GET http://host HTTP/1.1\r\n" HOST REST END},
    {400, "GET http:///ws HTTP/1.1\r\n" HOST REST END},
    {400, LINE REST END},
    {400, LINE "Host:\r\n" REST END},
    {400, LINE HOST HOST REST END},
    {400, LINE HOST REST "X y: z\r\n" END},
    {400, LINE HOST REST "X : z\r\n" END},
    {400, LINE HOST REST ": z\r\n" END},
    {400, LINE HOST REST "X\r\n" END},
    {400, LINE HOST REST "X: y\r\n folded\r\n" END},
    {400, LINE HOST REST "X: y\nZ: a\r\n" END},
    {400, LINE HOST REST "X: y\rZ: a\r\n" END},
    {400, LINE HOST REST "X: \x01\r\n" END},
    {400, LINE HOST REST "X: \x7f\r\n" END},
    {400, LINE HOST REST "Content-Length: 5\r\n" END "hello"},
    {400, LINE HOST REST "Transfer-Encoding: chunked\r\n" END},
    {426, LINE HOST VERSION KEY PROTOCOL END},
    {426, LINE HOST "Upgrade: websocket\r\n" VERSION KEY PROTOCOL END},
    {426, LINE HOST "Connection: Upgrade\r\n" VERSION KEY PROTOCOL END},
    {426, LINE HOST "Upgrade: websockets\r\nConnection: Upgrade\r\n" VERSION KEY PROTOCOL END},
    {426, LINE HOST UPGRADE KEY PROTOCOL END},
    {426, LINE HOST UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY PROTOCOL END},
    {426, LINE HOST UPGRADE "Sec-WebSocket-Version: 13, 8\r\n" KEY PROTOCOL END},
    {426, LINE HOST UPGRADE VERSION VERSION KEY PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION KEY KEY PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n" PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n" PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION "Sec-WebSocket-Key:\r\n" PROTOCOL END},
    {400, LINE HOST UPGRADE VERSION KEY END},
    {400, LINE HOST UPGRADE VERSION KEY "Sec-WebSocket-Protocol: MQTT, mqttx\r\n" END},
    {403, LINE HOST REST "Origin: http://evil.example\r\n" END},
    {403, LINE HOST REST "Origin: http://broker.example.evil.example\r\n" END},
    {403, LINE HOST REST "Origin: null\r\n" END},
    {403, LINE HOST REST "Origin:\r\n" END},
    {403, "GET http://other.example/ws HTTP/1.1\r\n" HOST REST "Origin: http://broker.example\r\n" END},
    {400, LINE HOST REST "Origin: http://broker.example\r\nOrigin: http://broker.example\r\n" END},
};

Test(transport_ws_handshake, what_is_wrong_is_named)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        unsigned got = status(wrongs[i].request, &required);
        cr_assert_eq(got, wrongs[i].status, "%u, not %u for: %s", got, wrongs[i].status, wrongs[i].request);
    }
}

/* Each is a whole answer of HTTP, with a sentence. */
Test(transport_ws_handshake, refusals_are_answers_of_http)
{
    struct ws_answer answer;
    static const unsigned statuses[] = {400, 403, 404, 405, 426, 431, 503, 505};
    for (size_t i = 0; i < 8; i++) {
        char head[64];
        ws_refuse(&answer, statuses[i], "A sentence.");
        snprintf(head, sizeof head, "HTTP/1.1 %u ", statuses[i]);
        cr_assert(span_starts(span_of(answer.bytes, answer.len), head));
        cr_assert(says(&answer, "Content-Length: 12\r\n") && says(&answer, "\r\nConnection: close"));
        cr_assert(says(&answer, "\r\n\r\nA sentence.\n"));
        cr_assert_eq(answer.bytes[answer.len - 1], '\n');
        cr_assert_eq(says(&answer, "Sec-WebSocket-Version: 13\r\n"), statuses[i] == 426);
        cr_assert_eq(says(&answer, "Allow: GET\r\n"), statuses[i] == 405);
    }
}

Test(transport_ws_handshake, the_best_of_what_both_speak)
{
    static const char *const stomp[] = {"v12.stomp", "v11.stomp", "v10.stomp", NULL};
    static const struct ws_speech speech = {.protocols = stomp};
    static const struct {
        const char *asked, *said;
    } talks[] = {
        {"v10.stomp, v11.stomp", ": v11.stomp\r\n"},
        {"v10.stomp,v12.stomp,v11.stomp", ": v12.stomp\r\n"},
        {"v10.stomp\r\nSec-WebSocket-Protocol: v12.stomp", ": v12.stomp\r\n"},
        {"soap", NULL},
        {",, v11.stomp ,", ": v11.stomp\r\n"},
    };
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        char request[1000];
        struct ws_answer answer;
        snprintf(request, sizeof request, LINE HOST UPGRADE VERSION KEY "Sec-WebSocket-Protocol: %s\r\n\r\n",
                 talks[i].asked);
        cr_assert_eq(ask(span_str(request), &speech, &same_host, &answer), 101);
        cr_assert(talks[i].said ? says(&answer, talks[i].said) : !says(&answer, "Protocol:"), "talk %zu", i);
    }
}

Test(transport_ws_handshake, pages_of_named_origins)
{
    const char *const one[] = {"https://app.example", "http://localhost:3000"}, *const all[] = {"*"};
    const struct ws_origins named = {one, 2}, any = {all, 1};
    static const struct {
        const char *origin;
        unsigned named, any;
    } pages[] = {
        {"https://app.example", 101, 101},
        {"HTTPS://App.Example", 101, 101},
        {"http://app.example", 403, 101},
        {"http://localhost:3000", 101, 101},
        {"http://localhost", 403, 101},
        {"http://broker.example", 403, 101},
        {"null", 403, 101},
        {NULL, 101, 101},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char request[1000];
        struct ws_answer answer;
        snprintf(request, sizeof request, LINE HOST REST "%s%s\r\n\r\n",
                 pages[i].origin ? "Origin: " : "X:", pages[i].origin ? pages[i].origin : "");
        cr_assert_eq(ask(span_str(request), &required, &named, &answer), pages[i].named, "page %zu", i);
        cr_assert_eq(ask(span_str(request), &required, &any, &answer), pages[i].any, "page %zu", i);
    }
}

Test(transport_ws_handshake, requests_are_bounded)
{
    static char request[2 * WS_HEAD_MAX];
    struct ws_answer answer;
    for (size_t n = WS_HEAD_MAX - 300; n < WS_HEAD_MAX; n++) {
        size_t at = (size_t)snprintf(request, sizeof request, LINE HOST REST "X: ");
        memset(request + at, 'x', n - at);
        memcpy(request + n, "\r\n\r\n", 5);
        size_t seen = 0;
        cr_assert_gt(ws_handshake(span_of(request, n + 4), &seen, &required, &same_host, &answer), 0);
        cr_assert_eq(answer.status, n + 4 > WS_HEAD_MAX ? 431 : 101, "%zu", n);
        seen = 0;
        cr_assert_eq(ws_handshake(span_of(request, n), &seen, &required, &same_host, &answer), 0);
    }
    size_t seen = 0;
    memset(request, 'G', sizeof request);
    cr_assert_eq(ws_handshake(span_of(request, WS_HEAD_MAX - 1), &seen, &required, &same_host, &answer), 0);
    cr_assert_gt(ws_handshake(span_of(request, WS_HEAD_MAX), &seen, &required, &same_host, &answer), 0);
    cr_assert_eq(answer.status, 431);
    size_t at = (size_t)snprintf(request, sizeof request, LINE HOST REST);
    for (unsigned i = 0; i < HTTP_FIELDS_MAX; i++)
        at += (size_t)snprintf(request + at, sizeof request - at, "X: %u\r\n", i);
    snprintf(request + at, sizeof request - at, END);
    cr_assert_eq(status(request, &required), 400);
}

/* ---- over a transport ----------------------------------------------------------------------------- */

/* Dials, sends the request in pieces of size and returns the answer; the stream then ends. */
static const char *refused(struct site *s, int tag, const char *request, size_t size)
{
    site_dial(s, tag);
    client_say(s, request);
    const char *head = NULL;
    UNTIL(s, size, (head = client_head(s)));
    UNTIL(s, size, sim_state(s->network, s->client_id) == SIM_ENDED);
    return head;
}

Test(transport_ws_handshake, over_single_bytes)
{
    for (size_t size = 1; size < 30; size++) {
        struct site *s = site_new(size, (uint32_t)(1 + size % 3), NULL);
        s->take_all = s->any = true;
        site_dial(s, TAG_BINARY);
        client_say(s, LINE HOST REST END);
        client_frame(s, FIN | BINARY, "early", 5);
        const char *head = NULL;
        UNTIL(s, size, (head || (head = client_head(s))) && s->received == 5);
        cr_assert(strstr(head, "101"));
        site_free(s);
    }
}

Test(transport_ws_handshake, refused_streams_are_answered_and_closed)
{
    struct site *s = site_new(3, 9000, NULL);
    for (size_t size = 1; size < 1000; size = size * 3 + 1) {
        cr_assert(
            strstr(refused(s, TAG_BINARY, "GET / HTTP/1.1\r\n" HOST REST END "behind it", size), " 404 "));
        s->out.len = s->out.from = s->in.len = s->in.from = 0;
        cr_assert(strstr(refused(s, TAG_BINARY, LINE HOST UPGRADE VERSION KEY END, size), " 400 "));
        s->out.len = s->out.from = s->in.len = s->in.from = 0;
    }
    cr_assert_eq(s->accepted, 0);
    s->refuse = true;
    cr_assert(strstr(refused(s, TAG_BINARY, LINE HOST REST END, 50), " 503 "));
    cr_assert_eq(s->accepted, 1);
    cr_assert(!s->closed);
    site_free(s);
}

Test(transport_ws_handshake, half_requests_are_ended_in_time_and_in_number)
{
    struct site *s = site_new(11, 9000, NULL);
    uint64_t id[6];
    s->tag = TAG_BINARY;
    for (unsigned i = 0; i < 6; i++) {
        id[i] = sim_connect(s->network, "binary");
        for (unsigned j = 0; j < 50; j++)
            site_turn(s);
        sim_write(s->network, id[i], span_of(LINE HOST, i % 2 ? 30 : 0));
    }
    for (unsigned j = 0; j < 100; j++)
        site_turn(s);
    for (unsigned i = 0; i < 6; i++) /* four are the most */
        cr_assert_eq(sim_state(s->network, id[i]), i < 2 ? SIM_RESET : SIM_OPEN);
    s->take_all = true;
    site_shake(s, TAG_BINARY);
    for (unsigned j = 0; j < HANDSHAKE_MS + 500; j++)
        site_turn(s);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(sim_state(s->network, id[i]), SIM_RESET);
    cr_assert_eq(sim_state(s->network, s->client_id), SIM_OPEN);
    uint64_t late = sim_connect(s->network, "binary");
    for (unsigned j = 0; j < 50; j++)
        site_turn(s);
    s->t->ops->stop_listening(s->t);
    for (unsigned j = 0; j < 50; j++)
        site_turn(s);
    cr_assert_eq(sim_state(s->network, late), SIM_RESET);
    cr_assert_eq(sim_state(s->network, s->client_id), SIM_OPEN);
    site_free(s);
}
