#include "conn.h"
#include "clock.h"
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_TIMEOUT_MS 30000 /* of silence, while an answer is awaited */

const char *conn_name(const struct conn *c, char text[32])
{
    static const char *const roles[] = {"control", "producer", "consumer", "idle connection",
                                        "churning connection"};
    if (c->role == CONN_CONTROL)
        return "the set-up";
    snprintf(text, 32, "%s %u", roles[c->role], c->number);
    return text;
}

void conn_init(struct conn *c, const struct options *o, enum conn_role role, uint32_t number,
               struct carrier *carrier)
{
    *c = (struct conn){.role = role,
                       .number = number,
                       .o = o,
                       .protocol = o->protocol,
                       .state = zalloc(1, o->protocol->state_size),
                       .carrier = carrier,
                       .fd = -1,
                       .window = UINT64_MAX};
}

void conn_drop(struct conn *c)
{
    c->is_open = false;
    c->carrier->ops->drop(c);
    c->in.len = c->in_used = c->out.len = c->out_sent = c->batch_len = c->batch_sent = c->wanted = 0;
}

void conn_free(struct conn *c)
{
    conn_drop(c);
    buffer_free(&c->in);
    buffer_free(&c->out);
    buffer_free(&c->partial);
    free(c->state);
}

int conn_fail(struct conn *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    conn_drop(c);
    return -1;
}

/* ---- output ---- */
int conn_flush(struct conn *c)
{
    int64_t n;
    if (c->tls_unsent && c->carrier->ops->send(c, NULL, 0, false) < 0)
        return -1;
    if (c->batch_sent < c->batch_len) {
        n = c->carrier->ops->send(c, c->batch + c->batch_sent, c->batch_len - c->batch_sent, true);
        if (n < 0)
            return -1;
        c->batch_sent += (size_t)n;
        if (c->batch_sent < c->batch_len)
            return 0;
    }
    if (!c->out.len)
        return 0;
    n = c->carrier->ops->send(c, c->out.data + c->out_sent, c->out.len - c->out_sent, false);
    if (n < 0)
        return -1;
    c->out_sent += (size_t)n;
    if (c->out_sent == c->out.len)
        c->out.len = c->out_sent = 0;
    return 0;
}

int conn_broke(struct conn *c, int error)
{
    char name[32];
    return conn_fail(c, "the connection of %s broke while sending (%s); see the broker's log",
                     conn_name(c, name), strerror(error));
}

int conn_ended(struct conn *c, int error)
{
    char name[32];
    return conn_fail(c, "the broker closed the connection of %s (%s) without a reason; see the broker's log",
                     conn_name(c, name), error ? strerror(error) : "end of stream");
}

void conn_adopt(struct conn *c)
{
    buffer_drop(&c->in, c->in_used);
    c->in_used = 0;
    c->carrier->ops->adopt(c);
}

/* ---- answers awaited while nothing else goes on ---- */
int conn_flush_wholly(struct conn *c)
{
    char name[32];
    while (c->is_open && conn_has_output(c)) {
        if (conn_flush(c))
            return -1;
        if (conn_has_output(c) && !c->carrier->ops->wait(c, true, ANSWER_TIMEOUT_MS))
            return conn_fail(c, "the broker reads nothing from %s for %d s; is it alive?", conn_name(c, name),
                             ANSWER_TIMEOUT_MS / 1000);
    }
    return 0;
}

int conn_more(struct conn *c)
{
    char name[32];
    if (!c->carrier->ops->wait(c, false, ANSWER_TIMEOUT_MS))
        return conn_fail(c, "the broker gave %s no answer for %d s; is it alive?", conn_name(c, name),
                         ANSWER_TIMEOUT_MS / 1000);
    if (c->carrier->ops->receive(c))
        return conn_fail(
            c,
            "the peer closed the connection of %s while an answer was awaited; is that a port for %s? See "
            "the broker's log",
            conn_name(c, name), c->protocol->title);
    return 0;
}

int conn_expect(struct conn *c, enum incoming_kind kind, struct incoming *in)
{
    if (conn_flush_wholly(c))
        return -1;
    for (;;) {
        int64_t n = c->protocol->read(c, c->in.data + c->in_used, c->in.len - c->in_used, in);
        if (n < 0)
            return -1;
        c->in_used += (size_t)n;
        if (n && in->kind == kind)
            return 0;
        if (n)
            continue;
        buffer_drop(&c->in, c->in_used);
        c->in_used = 0;
        if (conn_more(c))
            return -1;
    }
}

int conn_await_end(struct conn *c)
{
    uint64_t deadline = now_ns() + ANSWER_TIMEOUT_MS * NS_PER_MS;
    if (conn_flush_wholly(c))
        return -1;
    while (now_ns() < deadline && c->carrier->ops->wait(c, false, ANSWER_TIMEOUT_MS)) {
        c->in.len = c->in_used = 0;
        if (c->carrier->ops->receive(c))
            return 0;
    }
    return -1;
}

/* ---- opening and closing ---- */
static const char *advice(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "nothing listens there: start the broker or correct --uri";
    case EMFILE:
        return "raise the limit of open files (ulimit -n) or use fewer connections";
    case EADDRNOTAVAIL:
        return "no local port is left: spread the connections over more addresses (--sources)";
    case ETIMEDOUT:
        return "nobody answers there: check the address and the firewall";
    default:
        return "check --uri";
    }
}

int conn_refused(struct conn *c, const struct uri *u, int error)
{
    return conn_fail(c, "cannot connect to %s:%s: %s; %s", u->host, u->port, strerror(error), advice(error));
}

int conn_open(struct conn *c)
{
    const struct uri *u = &c->o->uri;
    conn_drop(c);
    c->partial.len = 0;
    c->window = UINT64_MAX;
    if (c->carrier->ops->connect(c->carrier, c, u))
        return -1;
    c->is_open = true;
    return c->protocol->login(c, u);
}

void conn_close(struct conn *c)
{
    if (!c->is_open)
        return;
    if (c->carrier->ops->disown)
        c->carrier->ops->disown(c);
    if (c->protocol->leave(c) == 0)
        c->carrier->ops->close(c);
    conn_drop(c);
}
