#include "report.h"

#include <jansson.h>

static void set_integer(json_t *to, const char *name, uint64_t n)
{
    json_object_set_new(to, name, json_integer((json_int_t)n));
}

static void set_real(json_t *to, const char *name, double v)
{
    json_object_set_new(to, name, json_real(v));
}

static void set_text(json_t *to, const char *name, const char *text)
{
    json_t *v = json_string(text);
    json_object_set_new(to, name, v ? v : json_string("(not UTF-8)"));
}

static json_t *load_object(const struct options *o)
{
    json_t *j = json_object();
    set_text(j, "protocol", o->protocol->name);
    set_integer(j, "producers", o->producers);
    set_integer(j, "consumers", o->consumers);
    set_integer(j, "queues", o->queues);
    set_integer(j, "threads", o->threads);
    set_text(j, "queue", o->queue);
    set_text(j, "exchange", o->exchange);
    set_text(j, "type", o->type);
    set_integer(j, "extra_bindings", o->extra_bindings);
    set_integer(j, "size_bytes", o->size);
    set_real(j, "rate", o->rate);
    set_integer(j, "confirms", o->confirms);
    set_integer(j, "prefetch", o->prefetch);
    json_object_set_new(j, "auto_ack", json_boolean(o->auto_ack));
    set_integer(j, "ack_every", o->ack_every);
    json_object_set_new(j, "persistent", json_boolean(o->persistent));
    json_object_set_new(j, "durable", json_boolean(o->durable));
    set_integer(j, "qos", o->qos);
    set_integer(j, "subscribe_qos", o->subscribe_qos);
    set_integer(j, "idle", o->idle);
    set_integer(j, "filters", o->filters);
    set_integer(j, "churn", o->churn);
    return j;
}

static json_t *latency_object(const struct histogram *h)
{
    json_t *j = json_object();
    char name[32];
    set_integer(j, "count", histogram_count(h));
    set_real(j, "min", (double)histogram_min(h) / 1000);
    set_real(j, "mean", histogram_mean(h) / 1000);
    for (int i = 0; i + 1 < REPORT_PERCENTILES; i++) {
        snprintf(name, sizeof name, "p%.10g", report_percents[i]);
        set_real(j, name, (double)histogram_percentile(h, report_percents[i]) / 1000);
    }
    set_real(j, "max", (double)h->max / 1000);
    return j;
}

static json_t *counters_object(const struct tally *t)
{
    json_t *j = json_object();
#define X(name) set_integer(j, #name, t->name);
    METER_COUNTERS(X)
#undef X
    return j;
}

static json_t *rates_object(const struct result *r)
{
    double seconds = r->seconds > 0 ? r->seconds : 1;
    json_t *j = json_object();
    set_real(j, "sent", (double)r->measured.sent / seconds);
    set_real(j, "confirmed", (double)r->measured.confirmed / seconds);
    set_real(j, "received", (double)r->measured.received / seconds);
    set_real(j, "churned", (double)r->measured.churned / seconds);
    return j;
}

static json_t *checks_object(const struct result *r)
{
    json_t *j = json_object();
    json_object_set_new(j, "loss_checked", json_boolean(r->audit.loss_checked));
    set_integer(j, "expected", r->audit.expected);
    set_integer(j, "lost", r->audit.lost);
    set_integer(j, "duplicated", r->whole.duplicated);
    set_integer(j, "misordered", r->whole.misordered);
    set_integer(j, "corrupted", r->whole.damaged + r->whole.unreadable);
    set_integer(j, "unconfirmed", r->audit.unconfirmed);
    set_integer(j, "unconfirmed_not_received", r->audit.unsure_missing);
    return j;
}

static json_t *cpu_object(const struct result *r, const struct verdict *v)
{
    json_t *j = json_object();
    set_real(j, "client_ns_per_message", report_client_ns(r));
    set_real(j, "client_busiest_thread", v->client_busy);
    set_real(j, "client_cores", v->client_cores);
    set_real(j, "machine_idle", v->machine_idle);
    set_real(j, "waited_socket", v->waited_socket);
    set_real(j, "waited_confirm", v->waited_confirm);
    if (r->o->broker_pid && !r->broker_gone) {
        set_real(j, "broker_ns_per_message", report_broker_ns(r));
        set_real(j, "broker_busy", v->broker_busy);
        set_real(j, "broker_cores", v->broker_cores);
        set_integer(j, "broker_rss_kib", r->broker_memory.rss_kib);
        set_integer(j, "broker_rss_peak_kib", r->broker_memory.rss_peak_kib);
    }
    return j;
}

void report_json(const struct result *r, const struct verdict *v, FILE *to)
{
    char sentence[512];
    json_t *j = json_object();
    verdict_write(v, r, sentence, sizeof sentence);
    set_text(j, "id", r->o->id);
    json_object_set_new(j, "good", json_boolean(result_good(r)));
    set_text(j, "error", r->why);
    json_object_set_new(j, "interrupted", json_boolean(r->interrupted));
    json_object_set_new(j, "load", load_object(r->o));
    set_real(j, "seconds", r->seconds);
    json_object_set_new(j, "per_second", rates_object(r));
    json_object_set_new(j, "latency_us", latency_object(&r->latency));
    json_object_set_new(j, "confirm_latency_us", latency_object(&r->confirm_latency));
    json_object_set_new(j, "checks", checks_object(r));
    json_object_set_new(j, "measured", counters_object(&r->measured));
    json_object_set_new(j, "whole", counters_object(&r->whole));
    json_object_set_new(j, "cpu", cpu_object(r, v));
    set_text(j, "bottleneck", verdict_name(v->bottleneck));
    set_text(j, "verdict", sentence);
    json_dumpf(j, to, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fputc('\n', to);
    json_decref(j);
}
