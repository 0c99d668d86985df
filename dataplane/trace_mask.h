/* Secrets in what clients send, made unreadable before anybody is shown it: SASL's responses and new secrets
 * of AMQP, MQTT's passwords, STOMP's passcodes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes: whole frames, as a codec of that name has taken them. Before the login (logged_in is false), what
 * isn't understood is blanked too. */
void trace_mask(const char *codec, uint8_t *bytes, size_t len, bool logged_in);
