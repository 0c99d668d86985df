#include "report.h"
#include "body.h"

#include <errno.h>
#include <stdio.h>

const double report_percents[REPORT_PERCENTILES] = {50, 75, 90, 95, 99, 99.9, 99.99, 100};

bool result_good(const struct result *r)
{
    const struct tally *t = &r->whole;
    return !*r->why && !r->audit.lost && !t->duplicated && !t->misordered && !t->damaged && !t->unreadable &&
           !r->audit.unconfirmed && !t->churn_failed && (!t->nacked || r->o->survive > 0);
}

uint64_t report_messages(const struct result *r)
{
    return r->measured.sent > r->measured.received ? r->measured.sent : r->measured.received;
}

static double per_message(const struct result *r, uint64_t from, uint64_t to)
{
    uint64_t n = report_messages(r);
    return n && to > from ? (double)(to - from) / (double)n : 0;
}

double report_client_ns(const struct result *r)
{
    return per_message(r, r->begin.client_cpu_ns, r->end.client_cpu_ns);
}

double report_broker_ns(const struct result *r)
{
    return per_message(r, r->begin.broker_cpu_ns, r->end.broker_cpu_ns);
}

/* ---- the table ---- */
static void row_rate(FILE *to, const struct result *r, const char *what, uint64_t n)
{
    double rate = r->seconds > 0 ? (double)n / r->seconds : 0;
    fprintf(to, "  %-12s %14llu messages  %14.0f msg/s  %10.1f MB/s\n", what, (unsigned long long)n, rate,
            rate * (double)r->o->size / 1e6);
}

static void row_latency(FILE *to, const char *what, const struct histogram *h)
{
    if (!histogram_count(h))
        return;
    fprintf(to, "  %-12s", what);
    for (int i = 0; i < REPORT_PERCENTILES; i++)
        fprintf(to, " %10.1f", (double)histogram_percentile(h, report_percents[i]) / 1000);
    fprintf(to, "\n");
}

static void write_latency(FILE *to, const struct result *r)
{
    if (!histogram_count(&r->latency) && !histogram_count(&r->confirm_latency))
        return;
    fprintf(to, "  %-12s %10s %10s %10s %10s %10s %10s %10s %10s\n", "latency, µs", "p50", "p75", "p90",
            "p95", "p99", "p99.9", "p99.99", "max");
    row_latency(to, "consumer", &r->latency);
    row_latency(to, "confirm", &r->confirm_latency);
}

static void count(FILE *to, const char *what, uint64_t n)
{
    if (n)
        fprintf(to, "  %-28s %14llu\n", what, (unsigned long long)n);
}

/* Facts that are no faults, or not the client's to judge; shown when there are any. */
static void write_remarks(FILE *to, const struct result *r)
{
    const struct tally *t = &r->whole;
    count(to, "idle connections", r->idle);
    count(to, "came, did one thing, went", t->churned);
    count(to, "of those, a second",
          r->seconds > 0 ? (uint64_t)((double)r->measured.churned / r->seconds) : 0);
    count(to, "that failed", t->churn_failed);
    count(to, "resent", t->resent);
    count(to, "reconnections", t->reconnects);
    count(to, "sessions the broker forgot", t->forgotten);
    count(to, "refused (nacked)", t->nacked);
    count(to, "returned as unroutable", t->returned);
    count(to, "never confirmed", r->audit.unconfirmed);
    count(to, "unconfirmed, not received", r->audit.unsure_missing);
    count(to, "flagged redelivered", t->redelivered);
    count(to, "repeated, so flagged", t->again_flagged);
    count(to, "repeated, sent twice", t->again_resent);
    count(to, "left from earlier runs", t->foreign);
    count(to, "connection.blocked notices", t->blocked);
}

static const char *limits_of_check(const struct options *o)
{
    switch (body_level(o->size)) {
    case BODY_COUNT_ONLY:
        return "bodies below 8 bytes hold no number: messages were only counted, neither order nor latency "
               "is known";
    case BODY_SEQUENCE:
        return "bodies below 16 bytes hold no time and no checksum: latency is unknown, damage of the "
               "number, too";
    default:
        return NULL;
    }
}

static void write_checks(FILE *to, const struct result *r)
{
    const struct tally *t = &r->whole;
    if (!r->o->consumers)
        return;
    char lost[32] = "not known";
    if (r->audit.loss_checked)
        snprintf(lost, sizeof lost, "%llu", (unsigned long long)r->audit.lost);
    fprintf(to,
            "  checked      lost %s, duplicated %llu, misordered %llu, corrupted %llu, of %llu received\n",
            lost, (unsigned long long)t->duplicated, (unsigned long long)t->misordered,
            (unsigned long long)(t->damaged + t->unreadable), (unsigned long long)t->received);
    const char *limits = r->o->producers ? limits_of_check(r->o) : NULL;
    if (limits)
        fprintf(to, "  note         %s\n", limits);
}

static void write_usage(FILE *to, const struct result *r)
{
    fprintf(to, "  client CPU   %14.1f ns a message\n", report_client_ns(r));
    if (!r->o->broker_pid)
        return;
    if (r->broker_gone || !r->begin.broker_known) {
        fprintf(to, "  broker       process %llu is gone or was never there\n",
                (unsigned long long)r->o->broker_pid);
        return;
    }
    fprintf(to, "  broker CPU   %14.1f ns a message\n", report_broker_ns(r));
    fprintf(to, "  broker RSS   %14.1f MiB, at most %.1f MiB\n", (double)r->broker_memory.rss_kib / 1024,
            (double)r->broker_memory.rss_peak_kib / 1024);
}

static void print_table(FILE *to, const struct result *r, const struct verdict *v)
{
    char sentence[512];
    fprintf(to, "\nid: %s, measured %.3f s, %llu producer(s), %llu consumer(s), %llu bytes\n", r->o->id,
            r->seconds, (unsigned long long)r->o->producers, (unsigned long long)r->o->consumers,
            (unsigned long long)r->o->size);
    if (r->o->producers)
        row_rate(to, r, "sent", r->measured.sent);
    if (r->o->confirms)
        row_rate(to, r, "confirmed", r->measured.confirmed);
    if (r->o->consumers)
        row_rate(to, r, "received", r->measured.received);
    write_latency(to, r);
    write_checks(to, r);
    write_remarks(to, r);
    write_usage(to, r);
    verdict_write(v, r, sentence, sizeof sentence);
    fprintf(to, "%s\n", sentence);
}

static int write_hgrm(const struct result *r)
{
    FILE *f = fopen(r->o->hgrm, "we");
    if (!f || (histogram_write_hgrm(&r->latency, f), fclose(f))) {
        fprintf(stderr, "gannet-bench: cannot write %s: %s\n", r->o->hgrm, strerror(errno));
        return -1;
    }
    return 0;
}

int report_write(const struct result *r)
{
    struct verdict v;
    verdict_make(&v, r);
    print_table(r->o->json ? stderr : stdout, r, &v);
    if (r->o->json)
        report_json(r, &v, stdout);
    if (*r->why)
        fprintf(stderr, "gannet-bench: %s\n", r->why);
    return r->o->hgrm ? write_hgrm(r) : 0;
}
