/* Socket addresses as people write them: "127.0.0.1:5672", "[::1]:5672". Numbers only: nothing here asks a
 * name server. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

/* Returns false and says in error (one sentence, of error_size bytes) what is wrong with the text. */
bool address_parse(struct address *address, const char *text, char *error, size_t error_size);
/* Writes the address as text into out, of ADDRESS_TEXT bytes; "unknown" for a family that is neither IPv4 nor
 * IPv6. */
void address_text(const struct address *address, char *out);
uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
