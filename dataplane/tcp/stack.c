#include "tcp/stack.h"

#include <stdlib.h>

#include "base/check.h"

enum { TURN_BYTES = 256 * 1024 }; /* received in one turn, more or less */

struct stack {
    struct ip *ip;
    struct tcp *tcp;
    bool claimed;
};

static enum ip_taken on_segment(void *owner, const struct ip_packet *packet, struct frame *frame)
{
    return tcp_input(((struct stack *)owner)->tcp, packet, frame);
}

static void on_refuse(void *owner, const struct ip_packet *packet, const struct frame *frame)
{
    tcp_refuse(((struct stack *)owner)->tcp, packet, frame);
}

static void on_error(void *owner, const struct ip_error *error)
{
    tcp_on_error(((struct stack *)owner)->tcp, error);
}

struct stack *stack_new(const struct stack_options *options)
{
    struct stack *stack = calloc(1, sizeof *stack);
    CHECK(stack);
    stack->ip = ip_new(&options->ip, (struct ip_user){stack, on_segment, on_refuse, on_error});
    stack->tcp = tcp_new(&options->tcp, stack->ip);
    return stack;
}

void stack_free(struct stack *stack)
{
    tcp_free(stack->tcp);
    ip_free(stack->ip);
    free(stack);
}

unsigned stack_poll(struct stack *stack, uint64_t now_ns)
{
    uint64_t until = ip_stats(stack->ip)->bytes_in + TURN_BYTES;
    unsigned work = 0, burst;
    tcp_set_now(stack->tcp, now_ns);
    /* More than one, so that a turn of the other agents serves more frames; not all, so that they have turns.
     */
    do
        work += burst = ip_poll(stack->ip, now_ns);
    while (burst >= DEVICE_BURST && ip_stats(stack->ip)->bytes_in < until);
    tcp_set_behind(stack->tcp, burst >= DEVICE_BURST);
    return work + tcp_run_timers(stack->tcp, now_ns);
}

void stack_flush(struct stack *stack)
{
    tcp_flush(stack->tcp);
    ip_flush(stack->ip);
}

uint64_t stack_deadline(const struct stack *stack)
{
    uint64_t ip = ip_deadline(stack->ip), tcp = tcp_deadline(stack->tcp);
    return ip < tcp ? ip : tcp;
}

bool stack_claim(struct stack *stack)
{
    bool first = !stack->claimed;
    stack->claimed = true;
    return first;
}

struct ip *stack_ip(struct stack *stack)
{
    return stack->ip;
}

struct tcp *stack_tcp(struct stack *stack)
{
    return stack->tcp;
}
