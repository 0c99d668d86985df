/* A storage that notes what is asked of the one below it, for the trace. */
#pragma once

#include <stdint.h>

struct storage;

/* Closes the one below with itself. */
struct storage *watch_new(struct storage *below, uint32_t router);
