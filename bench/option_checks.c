#include "option_checks.h"
#include "body.h"

#include <err.h>
#include <string.h>

static bool has_number(const char *name)
{
    return strstr(name, "%d") != NULL;
}

/* A queue that nobody named is ours alone: it has the run's defaults, starts empty and goes in the end. */
static void default_queue(struct options *o)
{
    if (o->queue) {
        if (o->queues > 1 && !has_number(o->queue))
            errx(2, "%llu of them need a %%d in %s to tell them apart", (unsigned long long)o->queues,
                 o->queue);
        return;
    }
    if (o->predeclared)
        errx(2, "--predeclared: name the queue with --queue");
    static const char *const own[][2] = {{"gannet-bench", "gannet-bench-%d"},
                                         {"gannet-bench", "gannet-bench/%d"},
                                         {"/queue/gannet-bench", "/queue/gannet-bench-%d"}};
    size_t kind = o->protocol == &protocol_amqp ? 0 : o->protocol == &protocol_mqtt ? 1 : 2;
    o->queue = own[kind][o->queues > 1];
    if (kind == 0 && o->producers) {
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

static void check_tls(const struct options *o)
{
    if (!o->uri.tls)
        return;
    if (o->transport == TRANSPORT_DPDK)
        errx(2, "%ss:// is for the kernel's sockets", o->protocol->scheme);
    if (o->churn)
        errx(2, "--churn is for connections without TLS");
}

static void check_extras(const struct options *o)
{
    if (o->filters && !has_number(o->extra_key))
        errx(2, "--filter %s: it needs a %%d", o->extra_key);
    if (o->spread && o->survive > 0)
        errx(2, "--spread: what is sent again would go to another topic; leave --survive away");
    if (o->spread && o->producers * o->queues > BODY_PRODUCERS_MAX)
        errx(2, "--spread: publishers times topics are at most %u", BODY_PRODUCERS_MAX);
    if (o->sources > 1 && o->transport == TRANSPORT_DPDK)
        errx(2, "--sources is for the kernel's sockets");
    if (o->churn && o->transport == TRANSPORT_DPDK)
        errx(2, "--churn is for the kernel's sockets");
    if ((o->churn_rate > 0 || o->churn_subscribe) && !o->churn)
        errx(2, "--churn-rate and --churn-subscribe: say how many connections at a time with --churn");
}

/* QoS 0 has neither confirms nor acks; the others have both, one for each message. */
static void check_mqtt(struct options *o)
{
    if (o->survive > 0 && !o->qos)
        o->qos = 1;
    if (o->subscribe_qos == OPTIONS_AS_QOS)
        o->subscribe_qos = o->qos;
    if (!o->qos && o->confirms)
        errx(2, "--in-flight: publishes of QoS 0 are not answered; ask for --qos 1 or 2");
    if (o->qos && !o->confirms)
        o->confirms = 100;
    if (o->survive > 0 && o->subscribe_qos != o->qos)
        errx(2, "--survive: subscribe with the QoS of the publishes, or nothing can be promised");
    if (o->prefetch && o->mqtt_version < 5)
        errx(2, "--receive-maximum is MQTT 5's");
    if (o->size > 200u << 20)
        errx(2, "--size: an MQTT packet has 256 MB at most");
    o->auto_ack = o->subscribe_qos == 0 || o->qos == 0;
    o->session |= o->survive > 0;
    o->remove |= o->session && !o->client_id;
    o->fanned = !o->share;
}

static void check_stomp(struct options *o)
{
    if (o->mandatory)
        errx(2, "--flag: STOMP has persistent only");
    o->fanned = strncmp(o->queue, "/topic/", 7) == 0 || strncmp(o->queue, "/exchange/", 10) == 0;
}

static void default_filter(struct options *o)
{
    if (!o->extra_key)
        o->extra_key = o->protocol == &protocol_amqp   ? "never.%d"
                       : o->protocol == &protocol_mqtt ? "never/%d/+/x"
                                                       : "/topic/never.%d.*.x";
    if (o->filters && !o->idle)
        o->idle = 1;
}

static void check_options(struct options *o)
{
    if (!o->producers && !o->consumers && !o->idle && !o->churn)
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
    if (o->survive <= 0 || o->protocol == &protocol_mqtt)
        return;
    o->persistent = o->durable = true;
    if (!o->confirms)
        o->confirms = 1000;
}

void options_check(struct options *o)
{
    default_queue(o);
    default_survive(o);
    default_filter(o);
    if (o->protocol == &protocol_mqtt)
        check_mqtt(o);
    if (o->protocol == &protocol_stomp)
        check_stomp(o);
    check_options(o);
    check_tls(o);
    check_extras(o);
    check_transport(o);
    if (!o->binding_key)
        o->binding_key = o->key;
}
