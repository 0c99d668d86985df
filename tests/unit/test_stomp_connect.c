/* Heart-beats: who is alive though nothing comes. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "codec/stomp/connection.h"
#include "codec/stomp/stomp.h"
#include "fake_host.h"

#define MS UINT64_C(1000000)

static const char send[] = "SEND\ndestination:/topic/a\n\nbody";

struct site {
    struct host *host;
    void *state;
};

static void input(struct site *s, const char *bytes, size_t len)
{
    codec_stomp.input(s->state, s->host, span_of(bytes, len));
    codec_stomp.flush(s->state, s->host);
}

/* A connection that promises to say something each second. */
static struct site site_new(void)
{
    static const char hello[] = "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:1000,0\n\n";
    struct site s = {fake_host_new(), calloc(1, codec_stomp.state_bytes)};
    cr_assert(s.state);
    fake_exchange(s.host, "amq.topic", false);
    s.host->options.stomp_anonymous = true;
    codec_stomp.open(s.state, s.host);
    input(&s, hello, sizeof hello);
    cr_assert(!s.host->closed);
    return s;
}

static void site_free(struct site *s)
{
    codec_stomp.gone(s->state, s->host);
    fake_host_free(s->host);
    free(s->state);
}

static void at(struct site *s, uint64_t ns)
{
    s->host->now_ns = ns;
    codec_stomp.tick(s->state, s->host);
}

Test(stomp_connect, who_is_silent_is_gone)
{
    struct site s = site_new();
    uint64_t start = s.host->now_ns;
    at(&s, start + 1999 * MS);
    cr_assert(!s.host->closed);
    at(&s, start + 2000 * MS);
    cr_assert(s.host->closed);
    site_free(&s);
}

Test(stomp_connect, whose_publish_waits_is_alive)
{
    struct site s = site_new();
    uint64_t start = s.host->now_ns;
    s.host->park = true;
    input(&s, send, sizeof send);
    at(&s, start + 2000 * MS);
    at(&s, start + 4000 * MS);
    cr_assert(!s.host->closed);
    site_free(&s);
}

/* The publish is not asked for again before the output is taken, which it never is. */
Test(stomp_connect, whose_publish_waits_for_its_own_output_is_gone)
{
    struct site s = site_new();
    uint64_t start = s.host->now_ns;
    s.host->park = true;
    input(&s, send, sizeof send);
    s.host->backlog = OUTPUT_HIGH_BYTES;
    at(&s, start + 1000 * MS);
    at(&s, start + 2000 * MS);
    cr_assert(s.host->closed);
    site_free(&s);
}

Test(stomp_connect, who_takes_output_is_alive)
{
    struct site s = site_new();
    uint64_t start = s.host->now_ns;
    s.host->backlog = 2 * OUTPUT_HIGH_BYTES;
    at(&s, start + 1000 * MS);
    s.host->backlog = OUTPUT_HIGH_BYTES;
    at(&s, start + 2000 * MS);
    at(&s, start + 3999 * MS);
    cr_assert(!s.host->closed);
    at(&s, start + 4000 * MS);
    cr_assert(s.host->closed);
    site_free(&s);
}
