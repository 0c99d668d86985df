#include "transport/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/transport.h"

static bool parse_port(uint16_t *port, const char *text)
{
    unsigned value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++)
        value = value * 10 + (unsigned)(text[digits] - '0');
    *port = (uint16_t)value;
    return digits > 0 && text[digits] == '\0' && value <= UINT16_MAX;
}

/* host: without brackets. */
static bool parse_host(struct address *address, const char *host, bool bracketed)
{
    memset(address, 0, sizeof *address);
    if (!bracketed && inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->len = sizeof address->v4;
        return true;
    }
    if (bracketed && inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->len = sizeof address->v6;
        return true;
    }
    return false;
}

bool address_parse(struct address *address, const char *text, char *error, size_t error_size)
{
    char host[ADDRESS_TEXT];
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    if (!colon || (size_t)(colon - text) >= sizeof host ||
        (bracketed && (colon == text || colon[-1] != ']'))) {
        snprintf(error, error_size, "'%s' is not ADDRESS:PORT, such as 127.0.0.1:5672 or [::1]:5672", text);
        return false;
    }
    size_t len = (size_t)(colon - text) - (bracketed ? 2 : 0);
    memcpy(host, text + (bracketed ? 1 : 0), len);
    host[len] = '\0';
    uint16_t port;
    if (!parse_port(&port, colon + 1)) {
        snprintf(error, error_size, "'%s' is not a port between 0 and 65535", colon + 1);
        return false;
    }
    if (!parse_host(address, host, bracketed)) {
        snprintf(error, error_size, "'%s' is not an IPv4 address or an IPv6 address in brackets", host);
        return false;
    }
    address_set_port(address, port);
    return true;
}

void address_text(const struct address *address, char *out)
{
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, address_port(address));
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, address_port(address));
    } else {
        snprintf(out, ADDRESS_TEXT, "unknown");
    }
}

uint16_t address_port(const struct address *address)
{
    /* Both families keep the port in the same place. */
    return ntohs(address->v4.sin_port);
}

void address_set_port(struct address *address, uint16_t port)
{
    address->v4.sin_port = htons(port);
}
