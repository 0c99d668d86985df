#include "options.h"
#include "body.h"
#include "option_checks.h"
#include "option_rows.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define KIB             1024.0
#define OPTION_ROWS_MAX 128

/* The bit of the run's protocol in row.protocols. */
static unsigned bit_of(const struct options *o)
{
    return o->protocol == &protocol_amqp ? AMQP : o->protocol == &protocol_mqtt ? MQTT : STOMP;
}

static void print_help(const struct options *o)
{
    static const char *const examples[] = {
        "gannet-bench -z 10 -s 1k -c 1000 -f persistent -q 500",
        "gannet-bench mqtt -z 10 -q 1 -c 100",
        "gannet-bench stomp -z 10 -c 100 -u /topic/a",
    };
    printf("gannet-bench - load generator for brokers, here: %s\n\n"
           "usage: gannet-bench [amqp | mqtt | stomp] [options]      for instance: %s\n\n",
           o->protocol->title, examples[__builtin_ctz(bit_of(o))]);
    for (size_t i = 0; i < option_rows_n; i++) {
        const struct row *r = &option_rows[i];
        char left[64], letter[8] = "    ";
        if (!(r->protocols & bit_of(o)))
            continue;
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

static void parse_uri(const struct options *o, struct uri *u, const char *text)
{
    const char *wrong = uri_parse(u, text, o->protocol->scheme, o->protocol->port, o->protocol->tls_port);
    if (wrong)
        errx(2, "--uri %s: %s", text, wrong);
}

static void parse_transport(struct options *o, const char *text)
{
    if (strcmp(text, "sockets") != 0 && strcmp(text, "dpdk") != 0)
        errx(2, "--transport %s: the transports are sockets and dpdk", text);
    o->transport = *text == 'd' ? TRANSPORT_DPDK : TRANSPORT_SOCKETS;
}

static void parse_version(struct options *o, const char *text)
{
    if (strcmp(text, "3.1.1") != 0 && strcmp(text, "5") != 0)
        errx(2, "--mqtt %s: the versions are 3.1.1 and 5", text);
    o->mqtt_version = *text == '5' ? 5 : 4;
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
    case VERSION:
        parse_version(o, text);
        break;
    case URI:
        parse_uri(o, to, text);
        break;
    case FLAGS:
        parse_flag(o, text);
        break;
    case FIELDS:
        parse_fields(r, to, text);
        break;
    case HELP:
        print_help(o);
    }
}

bool options_spread(const struct options *o)
{
    return !*o->exchange || strstr(o->key, "%d") != NULL;
}

void options_place(const struct options *o, char out[256], const char *name, uint64_t index)
{
    char number[24];
    int width = snprintf(number, sizeof number, "%llu", (unsigned long long)o->queues);
    const char *mark = strstr(name, "%d");
    if (o->spread && mark) /* publishes to all places have one size */
        snprintf(out, 256, "%.*s%0*llu%s", (int)(mark - name), name, width, (unsigned long long)(index + 1),
                 mark + 2);
    else
        options_expand(out, name, index + 1);
}

void options_expand(char out[256], const char *name, uint64_t number)
{
    const char *mark = strstr(name, "%d");
    if (mark)
        snprintf(out, 256, "%.*s%llu%s", (int)(mark - name), name, (unsigned long long)number, mark + 2);
    else
        snprintf(out, 256, "%s", name);
}

static void fill_getopt(const struct options *o, struct option *longs, char *letters)
{
    for (size_t i = 0; i < option_rows_n; i++) {
        const struct row *r = &option_rows[i];
        if (!(r->protocols & bit_of(o)))
            continue;
        int argument = !r->argument         ? no_argument
                       : r->kind == SURVIVE ? optional_argument
                                            : required_argument;
        *longs++ = (struct option){r->name, argument, NULL, r->letter};
        if (r->letter < 256) {
            *letters++ = (char)r->letter;
            if (argument == required_argument)
                *letters++ = ':';
        }
    }
    *letters = 0;
    *longs = (struct option){0};
}

void options_free(struct options *o)
{
    free(o->queue_args.text);
    free(o->consumer_args.text);
}

/* The row that the letter stands for in this protocol; NULL: there is none. */
static const struct row *row_of(const struct options *o, int letter)
{
    for (size_t i = 0; i < option_rows_n; i++)
        if (option_rows[i].letter == letter && option_rows[i].protocols & bit_of(o))
            return &option_rows[i];
    return NULL;
}

static void set_defaults(struct options *o, const struct protocol *protocol)
{
    *o = (struct options){.protocol = protocol,
                          .id = "test",
                          .producers = 1,
                          .consumers = 1,
                          .queues = 1,
                          .threads = 1,
                          .exchange = "",
                          .type = "direct",
                          .key = "",
                          .size = 16,
                          .ack_every = 1,
                          .drain = 5,
                          .subscribe_qos = OPTIONS_AS_QOS,
                          .mqtt_version = 5,
                          .sources = 1,
                          .batch = 64 << 10};
    uint32_t run;
    char address[16];
    if (getrandom(&run, sizeof run, 0) != sizeof run)
        err(2, "getrandom");
    o->run = run & ((1u << BODY_RUN_BITS) - 1);
    snprintf(address, sizeof address, "%s://", protocol->scheme);
    uri_parse(&o->uri, address, protocol->scheme, protocol->port, protocol->tls_port);
}

void options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[OPTION_ROWS_MAX + 1];
    char letters[2 * OPTION_ROWS_MAX + 1];
    const struct protocol *named = argc > 1 ? protocol_named(argv[1]) : NULL;
    set_defaults(o, named ? named : &protocol_amqp);
    if (option_rows_n > OPTION_ROWS_MAX)
        errx(2, "OPTION_ROWS_MAX is too small");
    fill_getopt(o, longs, letters);
    optind = named ? 2 : 1;
    for (int letter; (letter = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        const struct row *r = row_of(o, letter);
        if (!r)
            errx(2, "see gannet-bench %s --help", o->protocol->name);
        parse_row(o, r, optarg);
    }
    if (optind < argc)
        errx(2, "%s: no argument was expected here; see gannet-bench --help", argv[optind]);
    options_check(o);
}
