#include "options.h"
#include "body.h"
#include "histogram.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define KIB       1024.0
#define OWN_QUEUE "gannet-bench"

enum kind { FLAG, COUNT, SIZE, NUMBER, TEXT, LONG_TEXT, URI, FLAGS, FIELDS, SURVIVE, TRANSPORT, HELP };

struct row {
    int letter; /* from 256 on: a long option only */
    const char *name, *argument;
    enum kind kind;
    size_t offset; /* of the member of struct options */
    double min, max;
    const char *help;
};

#define AT(member) offsetof(struct options, member)

/* One row is an option: parser and --help come from it. The letters are RabbitMQ PerfTest's. */
static const struct row ROWS[] = {
    {'h', "uri", "URI", URI, AT(uri), 0, 0, "broker; default amqp://guest:guest@127.0.0.1:5672/"},
    {'d', "id", "TEXT", TEXT, AT(id), 0, 0, "name of the run in the live line"},
    {'x', "producers", "N", COUNT, AT(producers), 0, BODY_PRODUCERS_MAX, "producers, a connection each (1)"},
    {'y', "consumers", "N", COUNT, AT(consumers), 0, 65535, "consumers, a connection each (1)"},
    {256, "queues", "N", COUNT, AT(queues), 1, 1e6, "queues (1)"},
    {'u', "queue", "NAME", TEXT, AT(queue), 0, 0, "queue; %d in it is the queue's number, from 1"},
    {'e', "exchange", "NAME", TEXT, AT(exchange), 0, 0, "exchange; without it the default exchange"},
    {'t', "type", "TYPE", TEXT, AT(type), 0, 0, "its type: direct, fanout, topic or headers (direct)"},
    {'k', "routing-key", "KEY", TEXT, AT(key), 0, 0,
     "of publishes; with %d each queue has its own producers"},
    {'K', "binding-key", "KEY", TEXT, AT(binding_key), 0, 0,
     "of the queues' bindings; default: the routing key"},
    {257, "extra-bindings", "N", COUNT, AT(extra_bindings), 0, 1e8, "bind N more keys that match nothing"},
    {258, "extra-key", "KEY", TEXT, AT(extra_key), 0, 0, "their pattern (never.%d)"},
    {259, "queue-args", "K=V,...", FIELDS, AT(queue_args), 0, 0, "arguments of queue.declare"},
    {260, "consumer-args", "K=V,...", FIELDS, AT(consumer_args), 0, 0, "arguments of basic.consume"},
    {261, "durable", NULL, FLAG, AT(durable), 0, 0, "durable queues and exchange (also by -f persistent)"},
    {262, "auto-delete", NULL, FLAG, AT(auto_delete), 0, 0, "queues go when their last consumer goes"},
    {'p', "predeclared", NULL, FLAG, AT(predeclared), 0, 0, "declare and bind nothing: it is there already"},
    {263, "purge", NULL, FLAG, AT(purge), 0, 0, "empty the queues first"},
    {264, "delete", NULL, FLAG, AT(remove), 0, 0, "delete queues and exchange in the end"},
    {'s', "size", "BYTES", SIZE, AT(size), 0, 1 << 30, "bytes of body (16)"},
    {'r', "rate", "N", NUMBER, AT(rate), 0, 1e9, "messages/s of each producer; 0 is flat out (0)"},
    {'R', "consumer-rate", "N", NUMBER, AT(consumer_rate), 0, 1e9,
     "messages/s of each consumer (0: no limit)"},
    {'c', "confirm", "N", COUNT, AT(confirms), 0, 1e7, "publisher confirms, N in flight a producer"},
    {'f', "flag", "FLAG", FLAGS, 0, 0, 0, "persistent or mandatory; may be given twice"},
    {283, "priorities", "N", COUNT, AT(priorities), 0, 256,
     "the producers' messages have priorities of 0 to N-1, each producer its own"},
    {284, "expiration", "MS", TEXT, AT(expiration), 0, 0, "expiration of each message"},
    {282, "numbered", NULL, FLAG, AT(numbered), 0, 0,
     "x-producer-id and x-producer-seq on each message: the broker keeps none twice"},
    {'q', "qos", "N", COUNT, AT(prefetch), 0, 65535, "prefetch of each consumer (0: no limit)"},
    {'a', "autoack", NULL, FLAG, AT(auto_ack), 0, 0, "consume without acks"},
    {'A', "multi-ack-every", "N", COUNT, AT(ack_every), 1, 1e7,
     "ack every Nth message for all before it (1)"},
    {'z', "time", "SECONDS", NUMBER, AT(seconds), 0, 1e7, "publish this long after the warm-up"},
    {'C', "pmessages", "N", COUNT, AT(producer_messages), 0, 1e11, "messages each producer sends"},
    {'D', "cmessages", "N", COUNT, AT(consumer_messages), 0, 1e11,
     "messages each consumer takes, then it stops"},
    {'w', "warm-up", "SECONDS", NUMBER, AT(warmup), 0, 1e6, "load that is not measured, before the rest (0)"},
    {265, "drain", "SECONDS", NUMBER, AT(drain), 0.1, 1e6, "wait for late messages while any comes (5)"},
    {266, "survive", "[=SECONDS]", SURVIVE, AT(survive), 1, 1e6,
     "reconnect when the broker goes, for up to SECONDS (60), resend what was not confirmed"},
    {281, "wait", "SECONDS", NUMBER, AT(wait), 0, 1e6,
     "try to connect for so long, until the broker is up (0)"},
    {267, "threads", "N", COUNT, AT(threads), 1, 256, "threads that carry the connections (1)"},
    {268, "batch", "BYTES", SIZE, AT(batch), 4096, 1 << 28, "largest write (64k)"},
    {269, "spin", NULL, FLAG, AT(spin), 0, 0, "never sleep: exact send times for a whole core"},
    {270, "broker-pid", "PID", COUNT, AT(broker_pid), 1, 1 << 30,
     "report the CPU time and memory of this process"},
    {271, "hgrm", "FILE", TEXT, AT(hgrm), 0, 0, "write an HdrHistogram percentile log of the latency"},
    {272, "json", NULL, FLAG, AT(json), 0, 0, "the result as JSON on stdout, all else on stderr"},
    {273, "quiet", NULL, FLAG, AT(quiet), 0, 0, "no line each second"},
    {275, "transport", "KIND", TRANSPORT, AT(transport), 0, 0,
     "sockets, or dpdk: our own TCP on a port of DPDK, one thread that spins (sockets)"},
    {276, "eal", "ARGUMENTS", LONG_TEXT, AT(eal), 0, 0, "with dpdk: DPDK's own, as testpmd takes them"},
    {277, "address", "IP/BITS", TEXT, AT(address), 0, 0,
     "with dpdk: the port's, such as 10.0.0.1/24; the host of --uri is one it reaches"},
    {278, "dpdk-port", "NAME", TEXT, AT(dpdk_port), 0, 0, "with dpdk: the port's name; the first"},
    {279, "mtu", "BYTES", COUNT, AT(mtu), 576, 9000,
     "with dpdk: bytes of the largest packet, as the broker's (1500)"},
    {280, "buffers", "N", COUNT, AT(buffers), 2048, 1 << 20,
     "with dpdk: frames received and not yet read (8192)"},
    {274, "help", NULL, HELP, 0, 0, 0, "this text"},
};
#define ROWS_N (sizeof ROWS / sizeof *ROWS)

static void print_help(void)
{
    puts("gannet-bench - load generator for AMQP 0-9-1 brokers\n\n"
         "usage: gannet-bench [options]      for instance: gannet-bench -z 10 -s 1k -c 1000 -f persistent -q "
         "500\n");
    for (size_t i = 0; i < ROWS_N; i++) {
        const struct row *r = &ROWS[i];
        char left[64], letter[8] = "    ";
        if (r->letter < 256)
            snprintf(letter, sizeof letter, "-%c, ", r->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, r->name,
                 r->argument && r->kind != SURVIVE ? " " : "", r->argument ? r->argument : "");
        printf("  %-32s %s\n", left, r->help);
    }
    puts("\nNumbers of messages and bytes may end in k, M or G. Exit status: 0 all well; 1 messages were "
         "lost, repeated,\n"
         "out of order or damaged, or a connection broke; 2 the load could not be started.");
    exit(0);
}

/* k is 1,000 in counts and 1,024 in sizes. */
static double suffix_factor(const char *suffix, enum kind kind)
{
    static const char letters[] = "kMG";
    double step = kind == SIZE ? KIB : 1000;
    if (!*suffix)
        return 1;
    for (int i = 0; letters[i]; i++)
        if (strncasecmp(suffix, &letters[i], 1) == 0 && !suffix[1])
            return pow(step, i + 1);
    return NAN;
}

static double parse_number(const struct row *r, const char *text)
{
    char *rest;
    errno = 0;
    double v = strtod(text, &rest);
    v *= suffix_factor(rest, r->kind);
    if (rest == text || errno || isnan(v) || v < r->min || v > r->max)
        errx(2, "--%s %s: not a number from %.10g to %.10g", r->name, text, r->min, r->max);
    if ((r->kind == COUNT || r->kind == SIZE) && v != floor(v))
        errx(2, "--%s %s: not a whole number", r->name, text);
    return v;
}

static char type_of(const char *value)
{
    if (*value && strspn(value + (*value == '-'), "0123456789") == strlen(value) - (*value == '-'))
        return 'l';
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ? 't' : 'S';
}

static void parse_fields(const struct row *r, struct fields *to, const char *text)
{
    char *save = NULL;
    free(to->text);
    *to = (struct fields){.text = strdup(text)};
    for (char *pair = to->text ? strtok_r(to->text, ",", &save) : NULL; pair;
         pair = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(pair, '=');
        if (!equals || equals == pair || to->n == OPTIONS_FIELDS_MAX)
            errx(2, "--%s %s: wanted are up to %d pairs KEY=VALUE with commas between", r->name, text,
                 OPTIONS_FIELDS_MAX);
        *equals = 0;
        to->row[to->n++] = (struct field){pair, equals + 1, type_of(equals + 1)};
    }
}

static void parse_flag(struct options *o, const char *text)
{
    if (strcmp(text, "persistent") == 0)
        o->persistent = o->durable = true;
    else if (strcmp(text, "mandatory") == 0)
        o->mandatory = true;
    else
        errx(2, "--flag %s: the flags are persistent and mandatory", text);
}

static void parse_uri(struct uri *u, const char *text)
{
    const char *wrong = uri_parse(u, text);
    if (wrong)
        errx(2, "--uri %s: %s", text, wrong);
}

static void parse_transport(struct options *o, const char *text)
{
    if (strcmp(text, "sockets") != 0 && strcmp(text, "dpdk") != 0)
        errx(2, "--transport %s: the transports are sockets and dpdk", text);
    o->transport = *text == 'd' ? TRANSPORT_DPDK : TRANSPORT_SOCKETS;
}

static void parse_row(struct options *o, const struct row *r, const char *text)
{
    void *to = (char *)o + r->offset;
    switch (r->kind) {
    case FLAG:
        *(bool *)to = true;
        break;
    case COUNT:
    case SIZE:
        *(uint64_t *)to = (uint64_t)parse_number(r, text);
        break;
    case NUMBER:
        *(double *)to = parse_number(r, text);
        break;
    case SURVIVE:
        *(double *)to = text ? parse_number(r, text) : 60;
        break;
    case TEXT:
        if (strlen(text) > 200)
            errx(2, "--%s: longer than 200 bytes", r->name);
        *(const char **)to = text;
        break;
    case LONG_TEXT:
        *(const char **)to = text;
        break;
    case TRANSPORT:
        parse_transport(o, text);
        break;
    case URI:
        parse_uri(to, text);
        break;
    case FLAGS:
        parse_flag(o, text);
        break;
    case FIELDS:
        parse_fields(r, to, text);
        break;
    case HELP:
        print_help();
    }
}

static bool has_number(const char *name)
{
    return strstr(name, "%d") != NULL;
}

bool options_spread(const struct options *o)
{
    return !*o->exchange || has_number(o->key);
}

void options_expand(char out[256], const char *name, uint64_t number)
{
    const char *mark = strstr(name, "%d");
    if (mark)
        snprintf(out, 256, "%.*s%llu%s", (int)(mark - name), name, (unsigned long long)number, mark + 2);
    else
        snprintf(out, 256, "%s", name);
}

/* A queue that nobody named is ours alone: it has the run's defaults, starts empty and goes in the end. */
static void default_queue(struct options *o)
{
    if (o->queue) {
        if (o->queues > 1 && !has_number(o->queue))
            errx(2, "--queues %llu needs a %%d in --queue to tell them apart", (unsigned long long)o->queues);
        return;
    }
    if (o->predeclared)
        errx(2, "--predeclared: name the queue with --queue");
    o->queue = o->queues > 1 ? OWN_QUEUE "-%d" : OWN_QUEUE;
    if (o->producers) {
        o->purge = true;
        o->remove = o->consumers > 0;
    }
}

static void check_transport(const struct options *o)
{
    const char *given = o->eal         ? "eal"
                        : o->address   ? "address"
                        : o->dpdk_port ? "dpdk-port"
                        : o->mtu       ? "mtu"
                        : o->buffers   ? "buffers"
                                       : NULL;
    if (o->transport == TRANSPORT_SOCKETS && given)
        errx(2, "--%s is for --transport dpdk; the kernel's sockets have no use for it", given);
    if (o->transport != TRANSPORT_DPDK)
        return;
    if (!o->eal)
        errx(2,
             "--transport dpdk: say which device, such as --eal '--no-pci --in-memory --single-file-segments "
             "-m 256 --vdev=net_memif0,role=client,id=0,socket=/run/x.sock,socket-abstract=no'");
    if (!o->address)
        errx(2, "--transport dpdk: give the port an address of its own, such as --address 10.0.0.1/24");
    if (o->threads > 1)
        errx(2, "--transport dpdk works on one thread: leave --threads away");
}

static void check_options(struct options *o)
{
    if (!o->producers && !o->consumers)
        errx(2, "with -x 0 and -y 0 there is nothing to do");
    if (o->auto_ack && o->consumer_messages && o->consumers && o->producers)
        warnx("with -a and -D what the broker sends beyond -D is gone");
    if (!o->auto_ack && o->prefetch && o->ack_every > o->prefetch)
        errx(2, "-A %llu with -q %llu would wait for ever: ack at least every prefetch",
             (unsigned long long)o->ack_every, (unsigned long long)o->prefetch);
    if (!*o->exchange && (o->extra_bindings || o->binding_key))
        errx(2, "bindings need an exchange: give one with --exchange");
    if (o->extra_bindings && strcmp(o->type, "fanout") == 0)
        errx(2, "--extra-bindings: a fanout exchange has no binding that does not match");
    if (o->extra_bindings && !has_number(o->extra_key))
        errx(2, "--extra-key %s: it needs a %%d", o->extra_key);
    if (o->survive > 0 && o->threads > 1)
        errx(2, "--survive works on one thread: leave --threads away");
}

/* The kill test is about confirmed persistent messages; without these it would prove nothing. */
static void default_survive(struct options *o)
{
    if (o->survive <= 0)
        return;
    o->persistent = o->durable = true;
    if (!o->confirms)
        o->confirms = 1000;
}

static void fill_getopt(struct option *longs, char *letters)
{
    for (size_t i = 0; i < ROWS_N; i++) {
        const struct row *r = &ROWS[i];
        int argument = !r->argument         ? no_argument
                       : r->kind == SURVIVE ? optional_argument
                                            : required_argument;
        longs[i] = (struct option){r->name, argument, NULL, r->letter};
        if (r->letter < 256) {
            *letters++ = (char)r->letter;
            if (argument == required_argument)
                *letters++ = ':';
        }
    }
    *letters = 0;
    longs[ROWS_N] = (struct option){0};
}

void options_free(struct options *o)
{
    free(o->queue_args.text);
    free(o->consumer_args.text);
}

void options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS_N + 1];
    char letters[2 * ROWS_N + 1];
    *o = (struct options){.id = "test",
                          .producers = 1,
                          .consumers = 1,
                          .queues = 1,
                          .threads = 1,
                          .exchange = "",
                          .type = "direct",
                          .key = "",
                          .extra_key = "never.%d",
                          .size = 16,
                          .ack_every = 1,
                          .drain = 5,
                          .batch = 64 << 10};
    uri_parse(&o->uri, "amqp://");
    fill_getopt(longs, letters);
    for (int letter; (letter = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        const struct row *r = ROWS;
        while (r < ROWS + ROWS_N && r->letter != letter)
            r++;
        if (r == ROWS + ROWS_N)
            errx(2, "see gannet-bench --help");
        parse_row(o, r, optarg);
    }
    if (optind < argc)
        errx(2, "%s: no argument was expected here; see gannet-bench --help", argv[optind]);
    default_queue(o);
    default_survive(o);
    check_options(o);
    check_transport(o);
    if (!o->binding_key)
        o->binding_key = o->key;
}
