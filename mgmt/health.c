/* Health checks: 200 {"status": "ok"}, or 503 with the reason. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "handlers.h"
#include "listeners.h"
#include "protocol.h"

static void say_ok(struct reply *reply)
{
    reply_json(reply, json_pack("{ss}", "status", "ok"));
}

/* more: further members, taken over; NULL: none. */
static void say_failed(struct reply *reply, const char *reason, json_t *more)
{
    json_t *answer = json_pack("{ss,ss}", "status", "failed", "reason", reason);
    if (more)
        json_object_update(answer, more);
    json_decref(more);
    *reply = (struct reply){.status = 503, .json = answer};
}

/* ---- the broker ---------------------------------------------------------------------------------------- */

static const struct {
    const char *resource, *counter;
} alarms[] = {{"memory", "router.alarm_memory"}, {"disk", "router.alarm_disk"}};

static json_t *alarms_of(const struct call *call, const struct shm *shm)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof alarms / sizeof *alarms; i++) {
        const struct shm_row *row = shm_find(shm, alarms[i].counter);
        for (uint32_t router = 0; row && router < row->count; router++)
            if (shm_one(shm, row, router))
                json_array_append_new(list, json_pack("{ss,ss,si}", "node", call->mgmtd->node, "resource",
                                                      alarms[i].resource, "router", (int)router));
    }
    return list;
}

/* "resource alarms in effect: disk of router 0, ..." */
static void say_alarms(struct reply *reply, json_t *list)
{
    char reason[1024] = "resource alarms in effect:";
    size_t at = strlen(reason), i;
    json_t *alarm;
    json_array_foreach(list, i, alarm)
    {
        int room = at < sizeof reason ? (int)(sizeof reason - at) : 0;
        at += (size_t)snprintf(reason + sizeof reason - room, (size_t)room, "%s %s of router %d",
                               i ? "," : "", json_string_value(json_object_get(alarm, "resource")),
                               (int)json_integer_value(json_object_get(alarm, "router")));
    }
    say_failed(reply, reason, json_pack("{sO}", "alarms", list));
}

/* A journal that has failed refuses what is durable until the next start; what is short holds publishers
 * back. */
void answer_alarms(const struct call *call, struct reply *reply)
{
    struct shm shm;
    char reason[256];
    if (!counters_open(call, reply, &shm))
        return;
    int error = (int)counters_sum(&shm, "router.failed");
    json_t *list = alarms_of(call, &shm);
    snprintf(reason, sizeof reason, "a journal of the broker has failed: %s; restart it on a sound disk",
             strerror(error));
    if (error)
        say_failed(reply, reason, NULL);
    else if (json_array_size(list))
        say_alarms(reply, list);
    else
        say_ok(reply);
    json_decref(list);
    shm_close(&shm);
}

void answer_in_service(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return;
    if (counters_sum(&shm, "front.drained"))
        say_failed(reply, "the broker is drained: it takes no connections until gannetctl undrain", NULL);
    else
        say_ok(reply);
    shm_close(&shm);
}

/* They stand and fall with the broker. */
void answer_virtual_hosts(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "list_vhosts", NULL))
        say_ok(reply);
}

/* Whether others would lose something by its end: there are none. */
void answer_critical(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return;
    reply_json(reply, json_pack("{ss,ss}", "status", "ok", "reason", "single node cluster"));
    shm_close(&shm);
}

void answer_connection_limit(const struct call *call, struct reply *reply)
{
    struct shm shm;
    struct table limits;
    if (!ask(call, reply, &limits, "limits", NULL))
        return;
    json_int_t most = strtoll(table_cell(&limits, 1, "value"), NULL, 10);
    table_free(&limits);
    if (!counters_open(call, reply, &shm))
        return;
    json_int_t now = (json_int_t)counters_sum(&shm, "front.connections");
    shm_close(&shm);
    json_t *both = json_pack("{sI,sI}", "limit", most, "connections", now);
    if (now >= most) {
        say_failed(reply, "node connection limit is reached", both);
        return;
    }
    json_object_set_new(both, "status", json_string("ok"));
    reply_json(reply, both);
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

/* 503, with what there is instead of what is missing. */
static void say_missing(struct reply *reply, json_t *missing, const char *name, json_t *others)
{
    say_failed(reply, "No active listener", json_pack("{so,so}", "missing", missing, name, others));
}

void answer_port_listener(const struct call *call, struct reply *reply)
{
    char *end;
    long port = strtol(call->argument[0], &end, 10);
    json_t *listeners, *ports = json_array(), *listener;
    size_t i, found = 0;
    if (*end || port < 1 || port > 65535) {
        reply_error(reply, 400, "Invalid port");
    } else if ((listeners = listeners_json(call, reply))) {
        json_array_foreach(listeners, i, listener)
        {
            json_t *other = json_object_get(listener, "port");
            found += json_integer_value(other) == port;
            json_array_append(ports, other);
        }
        json_decref(listeners);
        if (found)
            reply_json(reply, json_pack("{ss,sI}", "status", "ok", "port", (json_int_t)port));
        else
            say_missing(reply, json_integer(port), "ports", json_incref(ports));
    }
    json_decref(ports);
}

void answer_protocol_listener(const struct call *call, struct reply *reply)
{
    const char *wanted = protocol_name(call->argument[0]);
    json_t *listeners = listeners_json(call, reply), *protocols = json_array(), *listener;
    size_t i, found = 0;
    if (listeners) {
        json_array_foreach(listeners, i, listener)
        {
            json_t *other = json_object_get(listener, "protocol");
            found += strcmp(json_string_value(other), wanted) == 0;
            json_array_append(protocols, other);
        }
        json_decref(listeners);
        if (found)
            reply_json(reply, json_pack("{ss,ss}", "status", "ok", "protocol", call->argument[0]));
        else
            say_missing(reply, json_string(wanted), "protocols", json_incref(protocols));
    }
    json_decref(protocols);
}

/* ---- certificates -------------------------------------------------------------------------------------- */

enum { DAY_S = 24 * 3600, WITHIN_MAX = 10000 };

/* In seconds; 0: the reply says that it is none. */
static time_t within(const struct call *call, struct reply *reply)
{
    static const struct {
        const char *unit;
        unsigned days;
    } units[] = {{"days", 1}, {"weeks", 7}, {"months", 30}, {"years", 365}};
    char *end;
    long number = strtol(call->argument[0], &end, 10);
    size_t i = 0;
    while (i < 4 && strcmp(units[i].unit, call->argument[1]) != 0)
        i++;
    if (i == 4)
        reply_error(reply, 400, "Time unit not recognised. Supported units: days, weeks, months, years.");
    else if (*end || number < 1 || number > WITHIN_MAX)
        reply_error(reply, 400, "Invalid expiration value.");
    else
        return (time_t)number * units[i].days * DAY_S;
    return 0;
}

static json_t *certificate(const struct call *call, const char *file, time_t end)
{
    char text[32] = "unknown";
    struct tm utc;
    if (end && gmtime_r(&end, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_pack("{ss,ss,ss}", "node", call->mgmtd->node, "file", file, "expires", text);
}

static void add_if_ending(json_t *list, const struct call *call, const char *file, time_t end, time_t limit)
{
    if (end < limit)
        json_array_append_new(list, certificate(call, file, end));
}

/* The broker's, and our own. */
void answer_certificate_expiration(const struct call *call, struct reply *reply)
{
    struct table files;
    time_t seconds = within(call, reply), limit = time(NULL) + seconds;
    if (!seconds || !ask(call, reply, &files, "certificates", NULL))
        return;
    json_t *expired = json_array();
    for (size_t row = 1; row < files.rows; row++)
        add_if_ending(expired, call, table_cell(&files, row, "file"),
                      (time_t)strtoll(table_cell(&files, row, "expires"), NULL, 10), limit);
    table_free(&files);
    if (call->mgmtd->certificate)
        add_if_ending(expired, call, call->mgmtd->certificate, (time_t)call->mgmtd->certificate_expires(),
                      limit);
    if (json_array_size(expired))
        say_failed(reply, "Certificates expiring", json_pack("{sO}", "expired", expired));
    else
        say_ok(reply);
    json_decref(expired);
}
