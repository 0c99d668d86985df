/* gannetctl's health checks, as rabbitmq-diagnostics has them: exit status 0 or 1, and a sentence. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"
#include "verb.h"

int check_running(const struct line *line)
{
    struct table table;
    if (!ask_broker(line, "limits", &table))
        return 1;
    table_free(&table);
    puts(strcmp(line->verb->word, "ping") == 0 ? "Ping succeeded" : "Gannet is fully booted and running");
    return 0;
}

int check_virtual_hosts(const struct line *line)
{
    struct table table;
    if (!ask_broker(line, "list_vhosts", &table))
        return 1;
    printf("All virtual hosts are running: %zu\n", table.rows - 1);
    table_free(&table);
    return 0;
}

/* There is one node: nothing is lost to others when it ends. */
int check_alone(const struct line *line)
{
    struct table table;
    if (!ask_broker(line, "limits", &table))
        return 1;
    table_free(&table);
    puts("Gannet is one node: no other depends on it");
    return 0;
}

/* ---- alarms ------------------------------------------------------------------------------------------ */

int check_alarms(const struct line *line)
{
    struct table table;
    if (!ask_broker(line, "alarms", &table))
        return 1;
    for (size_t row = 1; row < table.rows; row++) {
        const char *router = table_cell(&table, row, "router"),
                   *resource = table_cell(&table, row, "resource");
        if (strcmp(resource, "journal") == 0)
            complain(
                "the journal of router %s has failed: nothing durable is taken until the broker is started "
                "again on a sound disk",
                router);
        else
            complain("router %s is short of %s: its publishers are held back", router, resource);
    }
    int status = table.rows > 1;
    if (status == 0)
        puts("No alarm is on");
    table_free(&table);
    return status;
}

/* ---- listeners -------------------------------------------------------------------------------------- */

static bool is_port(const struct table *table, size_t row, const char *wanted)
{
    return strcmp(table_cell(table, row, "port"), wanted) == 0;
}

static bool is_protocol(const struct table *table, size_t row, const char *wanted)
{
    return strcmp(protocol_name(table_cell(table, row, "protocol")), protocol_name(wanted)) == 0;
}

static int check_listener(const struct line *line, const char *what,
                          bool (*is)(const struct table *table, size_t row, const char *wanted))
{
    const char *wanted = line->argv[0];
    struct table table;
    if (!ask_broker(line, "listeners", &table))
        return 1;
    bool found = false;
    char others[1024] = "";
    for (size_t row = 1; row < table.rows; row++) {
        size_t len = strlen(others);
        const char *other = is == is_port ? table_cell(&table, row, "port")
                                          : protocol_name(table_cell(&table, row, "protocol"));
        snprintf(others + len, sizeof others - len, "%s%s", len ? ", " : "", other);
        found |= is(&table, row, wanted);
    }
    table_free(&table);
    if (!found)
        return complain("there is no listener for %s %s; there are %s", what, wanted, others);
    printf("A listener for %s %s is there\n", what, wanted);
    return 0;
}

int check_port_listener(const struct line *line)
{
    return check_listener(line, "port", is_port);
}

int check_protocol_listener(const struct line *line)
{
    return check_listener(line, "protocol", is_protocol);
}

/* 0, or what went wrong. */
static const char *connect_to(const char *address, const char *port)
{
    struct addrinfo *found = NULL,
                    hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    int failed = getaddrinfo(address, port, &hints, &found);
    if (failed)
        return gai_strerror(failed);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval limit = {.tv_sec = 10};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const char *wrong = NULL;
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        wrong = strerrordesc_np(errno);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return wrong;
}

int check_port_connectivity(const struct line *line)
{
    struct table table;
    int status = 0;
    if (!ask_broker(line, "listeners", &table))
        return 1;
    for (size_t row = 1; row < table.rows; row++) {
        const char *address = table_cell(&table, row, "address"), *port = table_cell(&table, row, "port");
        const char *wrong = connect_to(address, port);
        if (wrong)
            status = complain("cannot connect to %s at %s port %s: %s", table_cell(&table, row, "protocol"),
                              address, port, wrong);
    }
    if (status == 0)
        printf("Successfully connected to all listeners: %zu\n", table.rows - 1);
    table_free(&table);
    return status;
}

/* ---- certificates ----------------------------------------------------------------------------------- */

enum { DAY_S = 24 * 3600, WITHIN_MAX = 10000 };

/* In seconds; 0: that is none. */
static time_t within(const struct line *line)
{
    static const struct {
        const char *unit;
        unsigned days;
    } units[] = {{"days", 1}, {"weeks", 7}, {"months", 30}, {"years", 365}};
    const char *number = line->flag[FLAG_WITHIN], *unit = line->flag[FLAG_UNIT];
    char *end;
    long n = strtol(number ? number : "4", &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit ? unit : "weeks", units[i].unit) == 0 && !*end && n > 0 && n < WITHIN_MAX)
            return (time_t)n * units[i].days * DAY_S;
    complain("--within needs a number from 1 to %d and --unit days, weeks, months or years", WITHIN_MAX - 1);
    return 0;
}

int check_certificate_expiration(const struct line *line)
{
    struct table table;
    time_t seconds = within(line), limit = time(NULL) + seconds;
    int status = 0;
    if (!seconds || !ask_broker(line, "certificates", &table))
        return 1;
    for (size_t row = 1; row < table.rows; row++) {
        time_t end = (time_t)strtoll(table_cell(&table, row, "expires"), NULL, 10);
        char text[32] = "an unknown time";
        struct tm utc;
        if (end && gmtime_r(&end, &utc))
            strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        if (end < limit)
            status = complain("the certificate in %s is good until %s only", table_cell(&table, row, "file"),
                              text);
    }
    if (status == 0)
        puts("No certificates are expiring within that time");
    table_free(&table);
    return status;
}
