/*
 * Whoever may open the control socket: each line of the input is a request to a broker of two fronts and two
 * routers, over the socket itself, which the control thread answers while the broker's agents run here. A
 * client of AMQP is connected, has a queue with messages, and some of them in its hands. What must hold: a
 * request that is a whole line is answered with ok, missing, failed or error, and the answer ends; a table is
 * one, whatever the names in it; a trace is whole records.
 *
 * clang -fsanitize=fuzzer,address,undefined -DGANNET_TINY; corpus/control holds requests of every kind.
 */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/shm.h"
#include "codec/codecs.h"
#include "control.h"
#include "gannetd.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "listeners.h"
#include "mgmt/table.h"
#include "tests/sim/wire.h"
#include "tls.h"
#include "trace_format.h"
#include "transport/transport_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AGENTS = 2, REQUESTS_MAX = 64, TURNS_MAX = 1000, TRACE_TURNS = 8, TURN_NS = 1000000 };

struct site {
    struct sim_disk *disk;
    struct storage *storage[AGENTS];
    struct sim_network *network;
    struct gannetd gannetd;
    struct config config;
    uint64_t now_ns, client;
};

static char directory[] = "/tmp/gannet-fuzz-XXXXXX";
static int wake;

/* ---- what isn't the broker's here ------------------------------------------------------------------- */

void workers_wake_front(struct workers *workers, unsigned front)
{
    (void)workers, (void)front;
    CHECK(eventfd_write(wake, 1) == 0);
}

void listeners_write(const struct gannetd *g, FILE *out)
{
    (void)g;
    fputs("ok\nprotocol\n", out);
}

void tls_service_write(struct tls_service *service, FILE *out)
{
    (void)service;
    fputs("ok\nfile\n", out);
}

/* Argon2id is not what is looked at, and would take all of the time. */
int crypto_pwhash(unsigned char *out, unsigned long long len, const char *password,
                  unsigned long long password_len, const unsigned char *salt, unsigned long long ops,
                  size_t memory, int algorithm)
{
    (void)salt, (void)ops, (void)memory, (void)algorithm;
    for (unsigned long long i = 0; i < len; i++)
        out[i] = password_len ? (unsigned char)password[i % password_len] : 0;
    return 0;
}

int crypto_pwhash_str_verify(const char *text, const char *password, unsigned long long len)
{
    return len && strchr(text, password[0]) ? 0 : -1;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t wall_ns(void)
{
    return clock_ns() + UINT64_C(1700000000000000000);
}

/* ---- a client of AMQP ------------------------------------------------------------------------------- */

static void add_start_ok(struct buffer *b)
{
    static const char response[] = "\0guest\0guest";
    size_t frame = method_open(b, 0, CONNECTION_START_OK);
    add_table(b, NULL, 0);
    add_name(b, "PLAIN");
    add_long(b, sizeof response - 1);
    buffer_add(b, response, sizeof response - 1);
    add_name(b, "en_US");
    frame_close(b, frame);
}

static void add_open(struct buffer *b)
{
    size_t frame = method_open(b, 0, CONNECTION_TUNE_OK);
    add_short(b, 1);
    add_long(b, 4096);
    add_short(b, 0);
    frame_close(b, frame);
    frame = method_open(b, 0, CONNECTION_OPEN);
    add_name(b, "/");
    add_name(b, "");
    add_octet(b, 0);
    frame_close(b, frame);
    frame = method_open(b, 1, CHANNEL_OPEN);
    add_name(b, "");
    frame_close(b, frame);
}

static void add_queue(struct buffer *b, const char *name)
{
    size_t frame = method_open(b, 1, QUEUE_DECLARE);
    add_short(b, 0);
    add_name(b, name);
    add_octet(b, 2); /* durable */
    add_table(b, NULL, 0);
    frame_close(b, frame);
}

static void add_publish(struct buffer *b, const char *queue)
{
    size_t frame = method_open(b, 1, BASIC_PUBLISH);
    add_short(b, 0);
    add_name(b, "");
    add_name(b, queue);
    add_octet(b, 0);
    frame_close(b, frame);
    frame = frame_open(b, FRAME_OF_HEADER, 1);
    add_long(b, 60 << 16);
    add_longlong(b, 5);
    add_short(b, 0x1000); /* delivery-mode */
    add_octet(b, 2);
    frame_close(b, frame);
    frame = frame_open(b, FRAME_OF_BODY, 1);
    buffer_add(b, "hello", 5);
    frame_close(b, frame);
}

static void add_consume(struct buffer *b, const char *queue)
{
    size_t frame = method_open(b, 1, BASIC_CONSUME);
    add_short(b, 0);
    add_name(b, queue);
    add_name(b, "tag");
    add_octet(b, 0);
    add_table(b, NULL, 0);
    frame_close(b, frame);
}

static unsigned turn(struct site *site)
{
    return broker_poll(site->gannetd.broker, site->now_ns += TURN_NS);
}

static void settle(struct site *site)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < TURNS_MAX && idle < 8; i++)
        idle = turn(site) ? 0 : idle + 1;
}

static void say(struct site *site, struct buffer *b)
{
    CHECK(sim_write(site->network, site->client, span_of(b->at, b->len)) == b->len);
    buffer_free(b);
    *b = (struct buffer){0};
}

static void connect_client(struct site *site)
{
    struct buffer b = {0};
    site->client = sim_connect(site->network, "broker");
    settle(site);
    buffer_add(&b, "AMQP\0\0\x09\x01", 8);
    add_start_ok(&b);
    add_open(&b);
    add_queue(&b, "q\t\n\xff");
    add_queue(&b, "q");
    add_publish(&b, "q");
    add_publish(&b, "q\t\n\xff");
    add_publish(&b, "q\t\n\xff");
    add_consume(&b, "q");
    say(site, &b);
    settle(site);
}

/* ---- a broker --------------------------------------------------------------------------------------- */

static void begin_network(struct site *site)
{
    struct sim_network_options options = sim_network_defaults(1);
    char error[256];
    uint16_t port;
    options.window_min = options.window_max = 65536;
    options.idle_ppm = 0;
    site->network = sim_network_new(&options);
    for (unsigned f = 0; f < AGENTS; f++) {
        struct front *front = site->gannetd.broker->front[f];
        front_attach(front, transport_sim_new(site->network, front_transport_user(front)));
    }
    for (unsigned i = 0; i < TURNS_MAX && !broker_ready(site->gannetd.broker); i++)
        turn(site);
    CHECK(broker_ready(site->gannetd.broker));
    for (unsigned f = 0; f < AGENTS; f++) {
        struct transport *t = front_transport(site->gannetd.broker->front[f], 0);
        CHECK(t->ops->listen(t, "broker", CODEC_AMQP, &port, error, sizeof error) == 0);
    }
}

static void begin_broker(struct site *site)
{
    static const char *const vhosts[] = {"/"};
    static char password[PASSWORD_TEXT_BYTES];
    static const struct access_first first = {vhosts, 1, "guest", password};
    char error[1024] = "";
    password_make_quick(password, span_str("guest"), (const uint8_t[PASSWORD_QUICK_SALT_BYTES]){1, 2, 3, 4});
    struct broker_options options = {
        .fronts = AGENTS,
        .routers = AGENTS,
        .first = &first,
        .host = {.frame_max = FRAME_BYTES_MAX,
                 .channel_max = CHANNELS_MAX,
                 .handshake_ms = 5000,
                 .max_message_size = 8 * INLINE_BODY_MAX,
                 .consumers_max = 4,
                 .anonymous_user = "guest",
                 .nobody = "",
                 .mqtt_exchange = "amq.topic",
                 .mqtt_vhost = "/"},
        .connections_max = 64,
        .memory_budget = 64 * PAGE_BYTES,
        .epoch_ns = UINT64_C(1700000000000000000),
        .seed = 1,
    };
    site->disk = sim_disk_new(1);
    for (unsigned r = 0; r < AGENTS; r++)
        options.storage[r] = site->storage[r] = storage_sim_new(site->disk, r);
    site->gannetd.broker = broker_new(&options, error, sizeof error);
    CHECK(site->gannetd.broker);
}

static void begin(struct site *site)
{
    static char guest[] = "guest", *local[] = {guest};
    char error[1024] = "";
    *site = (struct site){.now_ns = 1};
    /* The presets are too large for tiny limits. */
    site->config.data_dir = directory;
    site->config.loopback_users = (struct text_list){.item = local, .count = 1};
    site->gannetd.config = &site->config;
    site->gannetd.clock_ns = clock_ns;
    site->gannetd.wall_ns = wall_ns;
    site->gannetd.connections_max = 64;
    site->gannetd.placement.fronts = site->gannetd.placement.routers = AGENTS;
    begin_broker(site);
    begin_network(site);
    connect_client(site);
    site->gannetd.control = control_new(&site->gannetd, error, sizeof error);
    CHECK(site->gannetd.control);
}

static void end(struct site *site)
{
    control_free(site->gannetd.control);
    sim_forget(site->network, site->client);
    broker_free(site->gannetd.broker);
    sim_network_free(site->network);
    for (unsigned r = 0; r < AGENTS; r++)
        site->storage[r]->table->close(site->storage[r]);
    sim_disk_free(site->disk);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* One line, of what can be shown. */
static void check_sentence(const char *text, size_t len)
{
    CHECK(len && text[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        CHECK((unsigned char)text[i] >= ' ' && text[i] != 127);
    CHECK(!span_starts(span_of(text, len), "failed an agent ") && /* that has not answered */
          !span_starts(span_of(text, len), "error an agent "));
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 127)
            return false;
    return true;
}

static void check_cell(const struct table *table, size_t row, unsigned column)
{
    const char *cell = table->cell[row][column];
    if (table->kind[column] == TABLE_NUMBER)
        CHECK(cell[strspn(cell, "-0123456789")] == '\0');
    if (table->kind[column] == TABLE_FLAG)
        CHECK(strcmp(cell, "true") == 0 || strcmp(cell, "false") == 0 || !*cell);
    /* That global parameters are JSON is looked at by those who set them: the broker keeps texts. */
    bool kept = table->columns == 2 && strcmp(table->cell[0][column], "value") == 0;
    if (table->kind[column] == TABLE_JSON && is_ascii(cell) && !kept) {
        json_t *value = table_value(table, row, column);
        CHECK(!json_is_null(value) || strcmp(cell, "null") == 0 || !*cell);
        json_decref(value);
    }
}

static unsigned tabs(const char *line, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += line[i] == '\t';
    return n;
}

/* What stands behind "ok". */
static void check_table(const char *text)
{
    const char *line = text;
    unsigned columns = tabs(text, strcspn(text, "\n"));
    for (; *line && *line != '\n'; line = strchr(line, '\n') + 1) {
        CHECK(strchr(line, '\n'));
        CHECK(tabs(line, strcspn(line, "\n")) == columns);
    }
    if (*line && line[1])
        check_sentence(line + 1, strlen(line + 1));
    struct table table = table_parse(strdup(text));
    for (size_t row = 1; row < table.rows; row++)
        for (unsigned i = 0; i < table.columns; i++)
            check_cell(&table, row, i);
    table_unescape(&table);
    table_free(&table);
}

static void check_records(const char *at, size_t len)
{
    struct tap_record record;
    for (; len; at += sizeof record + record.bytes, len -= sizeof record + record.bytes) {
        CHECK(len >= sizeof record);
        memcpy(&record, at, sizeof record);
        CHECK(record.kind <= TRACE_LOST && record.bytes <= len - sizeof record);
    }
}

static void check_answer(const char *text, size_t len, bool of_trace)
{
    static const char *const refusals[] = {"missing ", "failed ", "error "};
    const char *head = memmem(text, len, "\n\n", 2);
    bool refused = false;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refused |= strncmp(text, refusals[i], strlen(refusals[i])) == 0;
    if (refused) {
        check_sentence(text, len);
        return;
    }
    CHECK(strncmp(text, "ok\n", 3) == 0);
    if (of_trace) {
        CHECK(head);
        check_records(head + 2, len - (size_t)(head + 2 - text));
    } else {
        CHECK(strlen(text) == len);
        check_table(text + 3);
    }
}

/* ---- requests --------------------------------------------------------------------------------------- */

static int open_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* The agents run until there is more, or its end: false. */
static bool hear(struct site *site, int fd, struct buffer *answer)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
    char part[4096];
    eventfd_t woken;
    while (turn(site))
        ;
    CHECK(poll(fds, 2, 10) >= 0 || errno == EINTR); /* by libFuzzer's clock */
    if (fds[1].revents)
        eventfd_read(wake, &woken);
    ssize_t n = recv(fd, part, sizeof part, MSG_DONTWAIT);
    if (n > 0)
        buffer_add(answer, part, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Some of a trace: what the client does meanwhile, and then it is asked no more. */
static void look_on(struct site *site, int fd, struct buffer *answer)
{
    struct buffer b = {0};
    add_publish(&b, "q");
    say(site, &b);
    for (unsigned i = 0; i < TRACE_TURNS && hear(site, fd, answer); i++)
        ;
    shutdown(fd, SHUT_WR);
}

static void ask(struct site *site, const char *line, size_t len)
{
    struct buffer answer = {0};
    int fd = open_socket();
    bool whole = len && line[len - 1] == '\n', of_trace = false;
    CHECK(send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len);
    if (!whole)
        shutdown(fd, SHUT_WR);
    while (hear(site, fd, &answer))
        if (!of_trace && len > 6 && memcmp(line, "trace_", 6) == 0 && answer.len >= 3 &&
            memcmp(answer.at, "ok\n", 3) == 0) {
            of_trace = true;
            look_on(site, fd, &answer);
        }
    close(fd);
    CHECK(answer.len || !whole);
    buffer_add(&answer, "", 1);
    if (answer.len > 1)
        check_answer((char *)answer.at, answer.len - 1, of_trace);
    buffer_free(&answer);
}

static void forget_directory(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, SHM_NAME);
    unlink(path);
    rmdir(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char probe[] = "version\n";
    struct site site;
    if (!wake) {
        CHECK(mkdtemp(directory));
        wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        password_start();
        log_set_level(LOG_ERROR);
        atexit(forget_directory);
    }
    begin(&site);
    const char *at = (const char *)data;
    for (unsigned i = 0; i < REQUESTS_MAX && size; i++) {
        const char *newline = memchr(at, '\n', size);
        size_t len = newline ? (size_t)(newline + 1 - at) : size;
        ask(&site, at, len);
        at += len;
        size -= len;
    }
    /* Between two pieces of an answer a trace is let go whose client has gone. */
    ask(&site, probe, sizeof probe - 1);
    end(&site);
    return 0;
}
