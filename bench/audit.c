#include "audit.h"
#include "routing.h"

uint64_t audit_expected(const struct options *o, const struct producer *producers)
{
    uint64_t n = 0, queues = routing_queues_consumed(o);
    for (uint64_t p = 0; p < o->producers; p++)
        for (uint64_t q = 0; q < queues; q++)
            if (routing_matches(o, p, q))
                n += routing_share(o, q, producers[p].next_seq) - producers[p].returned;
    return n;
}

/* One queue's record of one producer; source is NULL when nothing came. Of the producer's messages `sent`
 * were for this queue, the one of its number `place` first. */
static void audit_source(struct audit *a, const struct producer *p, const struct source *source,
                         uint64_t sent, uint64_t place)
{
    uint64_t have = source ? seen_count(&source->seen) : 0, missing = sent - have;
    if (have >= sent)
        return;
    if (!p->o->confirms) {
        a->lost += missing - (p->returned < missing ? p->returned : missing);
        return;
    }
    uint64_t lost = 0, unsure = 0;
    for (uint64_t seq = source ? source->seen.next : 0; seq < sent; seq++) {
        if (source && seen_has(&source->seen, seq))
            continue;
        if (seen_has(&p->confirmed, seq * p->places + place))
            lost++;
        else
            unsure++;
    }
    a->lost += lost - (p->returned < lost ? p->returned : lost); /* a returned message is confirmed, too */
    a->unsure_missing += unsure;
}

/* Nothing is known of the senders: a gap in the middle is a loss, and so is less than what -D asked for. */
static void audit_drained(struct result *r, const struct ledger *ledgers)
{
    const struct options *o = r->o;
    uint64_t gaps = 0, wanted = o->consumers * o->consumer_messages;
    for (uint64_t q = 0; q < routing_queues(o); q++)
        for (uint32_t i = 0; i < ledgers[q].n; i++) {
            const struct seen *s = &ledgers[q].sources[i].seen;
            gaps += s->highest - (s->next ? 0 : s->lowest) - seen_count(s);
        }
    uint64_t short_of = wanted > r->whole.received ? wanted - r->whole.received : 0;
    r->audit.loss_checked = o->consumers == 1 || !wanted || short_of;
    r->audit.expected = wanted ? wanted : r->whole.received + gaps;
    r->audit.lost = !r->audit.loss_checked ? 0 : gaps > short_of ? gaps : short_of;
}

/* Bodies without a sequence number can only be counted. */
static void audit_counts(struct result *r)
{
    uint64_t fresh = r->whole.fresh, expected = r->audit.expected;
    r->audit.lost = expected > fresh ? expected - fresh : 0;
    if (fresh > expected)
        r->whole.duplicated = fresh - expected;
}

static void audit_sent(struct result *r, const struct producer *producers, const struct ledger *ledgers)
{
    const struct options *o = r->o;
    for (uint64_t p = 0; p < o->producers; p++)
        for (uint64_t q = 0; q < routing_queues_consumed(o); q++)
            if (routing_matches(o, p, q)) {
                uint64_t place = o->spread ? q % o->queues : 0, source = p * producers[p].places + place;
                audit_source(&r->audit, &producers[p], ledger_look(&ledgers[q], (uint32_t)source, r->run),
                             routing_share(o, q, producers[p].next_seq), place);
            }
}

void audit_make(struct result *r, const struct producer *producers, const struct ledger *ledgers)
{
    const struct options *o = r->o;
    struct audit *a = &r->audit;
    for (uint64_t p = 0; o->confirms && p < o->producers; p++)
        a->unconfirmed += producers[p].next_seq - seen_count(&producers[p].confirmed) - producers[p].nacked;
    if (!o->consumers)
        return;
    if (!o->producers) {
        audit_drained(r, ledgers);
        return;
    }
    a->expected = audit_expected(o, producers);
    /* Consumers that stop at -D leave the rest in the queue. */
    a->loss_checked =
        routing_known(o) && !(o->consumer_messages && a->expected > o->consumers * o->consumer_messages);
    if (!a->loss_checked)
        return;
    if (body_level(o->size) == BODY_COUNT_ONLY)
        audit_counts(r);
    else
        audit_sent(r, producers, ledgers);
    /* A body that cannot be read is one of the missing: it is reported once, as damage. */
    a->lost -= r->whole.unreadable < a->lost ? r->whole.unreadable : a->lost;
}
