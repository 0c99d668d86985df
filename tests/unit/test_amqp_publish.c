/* Publishing: the fast path and the assembly must send the same, however the bytes arrive. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"
#include "base/map.h"

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

Test(amqp_publish, points_into_the_input)
{
    struct client *c = connected();
    client_publish(c, 1, "amq.direct", "key", span_str("hello"));
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    const struct command_publish *p = &c->host->publish[0].command;
    cr_assert_eq(p->key_len, 3);
    cr_assert(span_is(span_of(p->bytes, p->key_len), "key"));
    cr_assert(span_is(span_of(p->bytes + p->body_at, p->body_len), "hello"));
    cr_assert_eq(p->total_len, 5);
    cr_assert_eq(p->properties_len, 2);
    cr_assert_eq(p->flags, 0);
    cr_assert(client_silent(c));
    client_free(c);
}
