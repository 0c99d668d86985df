#include "uri.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Copies [from, end) with its %xx undone; -1 when that is malformed or too long. */
static int unescape(char *to, size_t room, const char *from, const char *end)
{
    while (from < end) {
        if (room-- < 2)
            return -1;
        if (*from == '%') {
            if (end - from < 3 || hex_digit(from[1]) < 0 || hex_digit(from[2]) < 0)
                return -1;
            *to++ = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return 0;
}

static const char *parse_login(struct uri *u, const char *from, const char *end)
{
    const char *colon = memchr(from, ':', (size_t)(end - from));
    if (unescape(u->user, sizeof u->user, from, colon ? colon : end))
        return "the user name is malformed or too long";
    if (colon && unescape(u->password, sizeof u->password, colon + 1, end))
        return "the password is malformed or too long";
    return NULL;
}

static const char *parse_port(struct uri *u, const char *from, const char *end)
{
    char *rest;
    if (unescape(u->port, sizeof u->port, from, end))
        return "the port is too long";
    long port = strtol(u->port, &rest, 10);
    return *rest || port < 1 || port > 65535 ? "the port is no number from 1 to 65535" : NULL;
}

/* An IPv6 address stands in brackets: [::1]:5672. */
static const char *parse_address(struct uri *u, const char *from, const char *end)
{
    const char *host_end = memchr(from, ':', (size_t)(end - from));
    if (*from == '[') {
        host_end = memchr(from, ']', (size_t)(end - from));
        if (!host_end)
            return "the address opens a bracket and never closes it";
        if (unescape(u->host, sizeof u->host, from + 1, host_end++))
            return "the host is malformed or too long";
    } else if (from != end) {
        if (unescape(u->host, sizeof u->host, from, host_end ? host_end : end))
            return "the host is malformed or too long";
    }
    if (host_end && host_end < end)
        return *host_end == ':' ? parse_port(u, host_end + 1, end) : "after the host a : was expected";
    return NULL;
}

const char *uri_parse(struct uri *u, const char *text, const char *scheme, const char *port,
                      const char *tls_port)
{
    size_t n = strlen(scheme);
    bool known = strncmp(text, scheme, n) == 0;
    *u = (struct uri){.user = "guest", .password = "guest", .host = "127.0.0.1", .vhost = "/"};
    u->tls = known && text[n] == 's';
    n += u->tls;
    snprintf(u->port, sizeof u->port, "%s", u->tls ? tls_port : port);
    if (!known || strncmp(text + n, "://", 3) != 0)
        return "it does not begin with the protocol's name, or that and an s for TLS, and ://";
    text += n + 3;
    const char *slash = text + strcspn(text, "/?"), *at = memchr(text, '@', (size_t)(slash - text));
    const char *wrong = at ? parse_login(u, text, at) : NULL;
    if (!wrong)
        wrong = parse_address(u, at ? at + 1 : text, slash);
    /* A ?query, such as heartbeat=…, is not for a load generator: it never asks for heartbeats. */
    const char *vhost_end = slash + strcspn(slash, "?");
    if (!wrong && vhost_end - slash > 1 && unescape(u->vhost, sizeof u->vhost, slash + 1, vhost_end))
        wrong = "the vhost is malformed or too long";
    return wrong;
}
