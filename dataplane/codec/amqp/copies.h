/*
 * The headers CC and BCC: arrays of more routing keys of a message ("sender-selected distribution" of
 * RabbitMQ). A message that has them goes the way of content.c: its keys are listed behind its properties for
 * the routers (command_publish, PUBLISH_COPIES), and BCC is taken out of the headers, so that nobody sees it.
 *
 * headers: a checked table.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* The first of them that isn't an array: its type, with its name in *name; NULL if all are. */
const char *copies_wrong_type(struct span headers, const char **name);
/* The bytes of the list of keys. */
size_t copies_size(struct span headers);
/* Writes the list; returns the byte behind it. */
uint8_t *copies_put(uint8_t *at, struct span headers);
/* Takes BCC out of properties whose header table stands headers_at bytes in, behind its length; returns how
 * many bytes shorter table and properties are now. */
size_t copies_hide(uint8_t *properties, size_t len, size_t headers_at, size_t headers_len);
