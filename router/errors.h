/* What can go wrong in a way that a peer is told, by name. The rows are in errors.def. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum error {
#define X(name, code, text, level) name,
#include "router/errors.def"
#undef X
    ERRORS
};

/* The AMQP 0-9-1 reply code, its name as RabbitMQ writes it, and whether it ends the whole connection. */
uint16_t error_code(enum error e);
const char *error_name(enum error e);
bool error_is_hard(enum error e);
