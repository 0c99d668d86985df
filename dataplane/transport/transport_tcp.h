/* Ordered byte streams over our own TCP. */
#pragma once

#include "tcp/stack.h"
#include "transport/transport.h"

/* A transport of the stack; several may share one (plain and TLS): each has its own listeners and streams.
 * Addresses are "10.0.0.2:5672", "[2001:db8::2]:5672"; 0.0.0.0 and [::] are every address of the stack. The
 * stack is polled by the first transport made of it, and outlives all. Never fails. */
struct transport *transport_tcp_new(struct stack *stack, struct transport_user up);
