/*
 * A front's network stack: ip below, tcp above, in one poll. It is made before the front's transports and
 * outlives them; transport_tcp.h makes a transport of it.
 *
 * The turn:
 *   stack_poll → ip_poll: frames → tcp: segments become bytes, acknowledgements free what was sent → timers
 *   (the front answers with tcp_send)
 *   stack_flush → acknowledgements that no data carried → the device
 */
#pragma once

#include <stdint.h>

#include "tcp/ip.h"
#include "tcp/tcp.h"

struct stack;

struct stack_options {
    struct ip_options ip;
    struct tcp_options tcp;
};

struct stack *stack_new(const struct stack_options *options);
/* Connections end without a word. The device is not closed. */
void stack_free(struct stack *stack);
unsigned stack_poll(struct stack *stack, uint64_t now_ns);
void stack_flush(struct stack *stack);
/* When a timer is due; UINT64_MAX: never. The device must be polled before nevertheless. */
uint64_t stack_deadline(const struct stack *stack);
/* True for the first who asks: it polls the stack. */
bool stack_claim(struct stack *stack);
struct ip *stack_ip(struct stack *stack);
struct tcp *stack_tcp(struct stack *stack);
