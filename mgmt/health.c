/* Health checks: 200 {"status": "ok"}, or 503 with the reason. */
#include <string.h>

#include "counters.h"
#include "handlers.h"

static void say_ok(struct reply *reply)
{
    reply_json(reply, json_pack("{ss}", "status", "ok"));
}

static void say_failed(struct reply *reply, const char *reason)
{
    *reply =
        (struct reply){.status = 503, .json = json_pack("{ss,ss}", "status", "failed", "reason", reason)};
}

/* A journal that has failed refuses what is durable until the next start. */
void answer_alarms(const struct call *call, struct reply *reply)
{
    struct shm shm;
    char reason[256];
    if (!counters_open(call, reply, &shm))
        return;
    const struct shm_row *failed = shm_find(&shm, "router.failed");
    int error = failed ? (int)shm_read(&shm, failed) : 0;
    snprintf(reason, sizeof reason, "a journal of the broker has failed: %s; restart it on a sound disk",
             strerror(error));
    if (error)
        say_failed(reply, reason);
    else
        say_ok(reply);
    shm_close(&shm);
}

void answer_in_service(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return;
    say_ok(reply);
    shm_close(&shm);
}
