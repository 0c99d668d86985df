/* The option table, the values, the file, and the placement that follows from them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "placement.h"

#define MEMORY (100ull << 30)

static char error[512];

static struct config *config_new(void)
{
    struct config *config = malloc(sizeof *config);
    config_init(config, MEMORY);
    return config;
}

static void config_drop(struct config *config)
{
    config_free(config);
    free(config);
}

static bool set(struct config *config, const char *key, const char *value)
{
    *error = '\0';
    bool ok = config_set(config, key, value, error, sizeof error);
    cr_assert_eq(ok, *error == '\0');
    return ok;
}

/* Writes a file and reads it; the errors are left in `error`. */
static unsigned read_text(struct config *config, const char *text)
{
    char path[] = "/tmp/gannet-config-XXXXXX", *lines = NULL;
    size_t size = 0;
    int fd = mkstemp(path);
    cr_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    FILE *errors = open_memstream(&lines, &size);
    unsigned wrong = config_read(config, path, errors);
    fclose(errors);
    unlink(path);
    snprintf(error, sizeof error, "%s", lines);
    free(lines);
    return wrong;
}

Test(config, defaults)
{
    struct config *c = config_new();
    cr_assert_eq(c->listeners_amqp.count, 1);
    cr_assert_str_eq(c->listeners_amqp.item[0], "127.0.0.1:5672");
    cr_assert_eq(c->amqp_frame_max, 131072);
    cr_assert_eq(c->amqp_channel_max, 2047);
    cr_assert_eq(c->amqp_heartbeat, 60000);
    cr_assert_eq(c->handshake_timeout, 10000);
    cr_assert_eq(c->max_message_size, 16u << 20);
    cr_assert_eq(c->memory_budget, 40ull << 30);
    cr_assert_str_eq(c->default_user, "guest");
    cr_assert_str_eq(c->loopback_users.item[0], "guest");
    cr_assert_str_eq(c->vhosts.item[0], "/");
    cr_assert_eq(c->cores_front.count, 0);
    cr_assert(!c->busy_poll);
    cr_assert_eq(c->log_level, LOG_INFO);
    config_drop(c);
}

Test(config, numbers_have_units_and_bounds)
{
    struct config *c = config_new();
    cr_assert(set(c, "max_message_size", "2 MiB"));
    cr_assert_eq(c->max_message_size, 2u << 20);
    cr_assert(set(c, "max_message_size", "4096"));
    cr_assert(set(c, "max_message_size", "100kib"));
    cr_assert_eq(c->max_message_size, 102400);
    cr_assert(set(c, "amqp.heartbeat", "2min"));
    cr_assert_eq(c->amqp_heartbeat, 120000);
    cr_assert(set(c, "memory.budget", "25 %"));
    cr_assert_eq(c->memory_budget, 25ull << 30);
    cr_assert(set(c, "memory.budget", "1 GiB"));
    cr_assert_eq(c->memory_budget, 1ull << 30);
    static const char *const wrong[][2] = {
        {"max_message_size", "513 MiB"}, {"max_message_size", "1"},
        {"max_message_size", "-1"},      {"max_message_size", ""},
        {"max_message_size", "1 MB/s"},  {"max_message_size", "99999999999999999999999 TiB"},
        {"amqp.channel_max", "2048"},    {"amqp.channel_max", "0"},
        {"amqp.channel_max", "ten"},     {"amqp.channel_max", "10 s"},
        {"memory.budget", "101 %"},      {"handshake_timeout", "11 min"},
        {"busy_poll", "maybe"},          {"log.level", "loud"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert(!set(c, wrong[i][0], wrong[i][1]), "%s = %s", wrong[i][0], wrong[i][1]);
    cr_assert_eq(c->memory_budget, 1ull << 30, "what is wrong changes nothing");
    config_drop(c);
}

Test(config, lists_addresses_and_cores)
{
    struct config *c = config_new();
    cr_assert(set(c, "listeners.amqp", "0.0.0.0:1, [::1]:2 ,10.0.0.1:3"));
    cr_assert_eq(c->listeners_amqp.count, 3);
    cr_assert_str_eq(c->listeners_amqp.item[1], "[::1]:2");
    cr_assert(!set(c, "listeners.amqp", "5672"));
    cr_assert(strstr(error, "ADDRESS:PORT"), "%s", error);
    cr_assert(!set(c, "listeners.amqp", "127.0.0.1:1,127.0.0.1:1"));
    cr_assert(!set(c, "listeners.amqp", "127.0.0.1:1,,127.0.0.1:2"));
    cr_assert(!set(c, "listeners.amqp", ""));
    cr_assert(!set(c, "listeners.amqp", "127.0.0.1:1,"));
    cr_assert(set(c, "loopback_users", ""));
    cr_assert_eq(c->loopback_users.count, 0);
    cr_assert(set(c, "vhosts", "/, a b,c"));
    cr_assert_str_eq(c->vhosts.item[1], "a b");
    cr_assert(set(c, "cores.front", "2-4,7,7"));
    cr_assert_eq(c->cores_front.count, 5);
    cr_assert_eq(c->cores_front.core[4], 7);
    cr_assert(set(c, "cores.front", "auto"));
    cr_assert_eq(c->cores_front.count, 0);
    static const char *const wrong[] = {"", "4-2", "a", "1,", "-1", "1-", "0-64", "9999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert(!set(c, "cores.front", wrong[i]), "%s", wrong[i]);
    config_drop(c);
}

Test(config, unknown_keys_get_a_hint_and_absent_ones_a_reason)
{
    struct config *c = config_new();
    cr_assert(!set(c, "listners.amqp", "127.0.0.1:1"));
    cr_assert(strstr(error, "did you mean 'listeners.amqp'"), "%s", error);
    cr_assert(!set(c, "max_mesage_size", "1"));
    cr_assert(strstr(error, "did you mean 'max_message_size'"), "%s", error);
    cr_assert(!set(c, "listeners.metrics", "127.0.0.1:15692"));
    cr_assert(strstr(error, "gannet-mgmtd --metrics"), "%s", error);
    cr_assert(!set(c, "listeners.management", "127.0.0.1:15672"));
    cr_assert(strstr(error, "has no management plane"), "%s", error);
    char key[2000];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    cr_assert(!set(c, key, "1"));
    cr_assert(!config_set_pair(c, "novalue", error, sizeof error));
    cr_assert(config_set_pair(c, "vhosts=a=b", error, sizeof error));
    cr_assert_str_eq(c->vhosts.item[0], "a=b");
    config_drop(c);
}

Test(config, the_file)
{
    struct config *c = config_new();
    cr_assert_eq(read_text(c, "# all of it\n"
                              "\n"
                              "  busy_poll = true   # a whole core\n"
                              "default_pass=p#w\r\n"
                              "log.level = debug"),
                 0, "%s", error);
    cr_assert(c->busy_poll);
    cr_assert_str_eq(c->default_pass, "p#w");
    cr_assert_eq(c->log_level, LOG_DEBUG);
    config_drop(c);

    c = config_new();
    cr_assert_eq(read_text(c, "busy_poll = true\nnonsense\nbusy_poll = false\nvhost = /\n = 1\n"), 4, "%s",
                 error);
    cr_assert(strstr(error, ":2: 'nonsense' is not 'key = value'"), "%s", error);
    cr_assert(strstr(error, ":3: busy_poll is set in line 1 already"), "%s", error);
    cr_assert(strstr(error, ":4: unknown key 'vhost'; did you mean 'vhosts'?"), "%s", error);
    cr_assert(strstr(error, ":5: "), "%s", error);
    config_drop(c);

    c = config_new();
    FILE *errors = fopen("/dev/null", "w");
    cr_assert_eq(config_read(c, "/nowhere/gannet.conf", errors), 1);
    fclose(errors);
    config_drop(c);
}

Test(config, what_changed_until_the_next_start)
{
    struct config *old = config_new(), *new = config_new();
    unsigned next = 0;
    set(new, "log.level", "debug");
    cr_assert_null(config_changed(old, new, 0, &next));
    set(new, "vhosts", "other");
    set(new, "busy_poll", "true");
    cr_assert_str_eq(config_changed(old, new, 0, &next), "busy_poll");
    cr_assert_str_eq(config_changed(old, new, next, &next), "vhosts");
    cr_assert_null(config_changed(old, new, next, &next));
    config_drop(old);
    config_drop(new);
}

Test(config, the_reference_is_up_to_date)
{
    char *text = NULL, *kept;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size), *file = fopen(SOURCE_ROOT "/dataplane/OPTIONS.md", "r");
    config_reference(out);
    fclose(out);
    cr_assert(file);
    kept = calloc(1, size + 2);
    size_t n = fread(kept, 1, size + 1, file);
    fclose(file);
    cr_assert(n == size && memcmp(kept, text, size) == 0,
              "run: gannetd --help-options > dataplane/OPTIONS.md");
    free(kept);
    free(text);
}

/* As it is, and with every comment that is a key made one: the defaults. */
Test(config, the_sample_is_a_configuration)
{
    for (unsigned set = 0; set < 2; set++) {
        struct config c, defaults;
        char path[] = "/tmp/gannet-config-XXXXXX", *text = NULL;
        size_t size = 0;
        unsigned next;
        FILE *out = open_memstream(&text, &size), *file = fdopen(mkstemp(path), "w");
        config_sample(out);
        fclose(out);
        for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            if (set && line[0] == '#' && line[1] != ' ' && line[1] != '\n')
                line[0] = ' ';
        fputs(text, file);
        fclose(file);
        config_init(&c, 1ull << 30);
        config_init(&defaults, 1ull << 30);
        cr_assert_eq(config_read(&c, path, stderr), 0);
        cr_assert_null(config_changed(&defaults, &c, 0, &next));
        for (unsigned i = 0; i < OPTIONS; i++)
            cr_assert_eq(c.line[i] != 0, set == 1);
        unlink(path);
        free(text);
        config_free(&c);
        config_free(&defaults);
    }
}

/* ---- placement ------------------------------------------------------------------------------------- */

static bool eight(unsigned core)
{
    return core < 8;
}

static struct placement *place(struct config *c, unsigned cpus, unsigned routers_before)
{
    struct placement *p = malloc(sizeof *p);
    if (placement_make(p, c, cpus, eight, routers_before, error, sizeof error))
        return p;
    free(p);
    return NULL;
}

/* Every agent has exactly one thread. */
static void check_complete(const struct placement *p)
{
    unsigned fronts[FRONTS_MAX] = {0}, routers[ROUTERS_MAX] = {0}, journals[ROUTERS_MAX] = {0};
    for (unsigned t = 0; t < p->threads; t++) {
        for (unsigned i = 0; i < p->plan[t].front_count; i++)
            fronts[p->plan[t].front[i]]++;
        for (unsigned i = 0; i < p->plan[t].router_count; i++)
            routers[p->plan[t].router[i]]++;
        for (unsigned i = 0; i < p->plan[t].journal_count; i++)
            journals[p->plan[t].journal[i]]++;
    }
    for (unsigned i = 0; i < FRONTS_MAX; i++)
        cr_assert_eq(fronts[i], i < p->fronts);
    for (unsigned i = 0; i < ROUTERS_MAX; i++)
        cr_assert(routers[i] == (i < p->routers) && journals[i] == (i < p->routers));
}

Test(placement, by_itself_it_takes_few_threads)
{
    struct config *c = config_new();
    static const unsigned expected[][4] = {
        /* cpus, fronts, routers, threads */
        {1, 1, 1, 1}, {2, 1, 1, 1}, {4, 1, 1, 2}, {8, 2, 1, 4}, {64, 4, 2, 8},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct placement *p = place(c, expected[i][0], 0);
        cr_assert(p, "%s", error);
        check_complete(p);
        cr_assert_eq(p->fronts, expected[i][1]);
        cr_assert_eq(p->routers, expected[i][2]);
        cr_assert_eq(p->threads, expected[i][3], "%u CPUs: %u threads", expected[i][0], p->threads);
        for (unsigned t = 0; t < p->threads; t++)
            cr_assert_eq(p->plan[t].core, ANY_CORE);
        free(p);
    }
    struct placement *p = place(c, 2, 3);
    cr_assert_eq(p->routers, 3, "the data directory decides");
    check_complete(p);
    free(p);
    config_drop(c);
}

Test(placement, as_the_user_says)
{
    struct config *c = config_new();
    set(c, "cores.front", "2-4");
    set(c, "cores.router", "4,5,5");
    set(c, "cores.journal", "6");
    struct placement *p = place(c, 8, 0);
    cr_assert(p, "%s", error);
    check_complete(p);
    cr_assert_eq(p->fronts, 3);
    cr_assert_eq(p->routers, 3);
    cr_assert_eq(p->threads, 5);
    for (unsigned t = 0; t < p->threads; t++)
        if (p->plan[t].core == 4)
            cr_assert(p->plan[t].front_count == 1 && p->plan[t].router_count == 1);
    free(p);
    p = place(c, 8, 2);
    cr_assert_null(p);
    cr_assert(strstr(error, "made with 2 routers"), "%s", error);
    set(c, "cores.front", "8");
    p = place(c, 8, 0);
    cr_assert_null(p);
    cr_assert(strstr(error, "cores.front: core 8"), "%s", error);
    config_drop(c);
}
