/* Every row of settings.def: what a declaration may say, what it may not, and what policies add. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "naive.h"
#include "router/settings.h"

static const struct declared durable = {.what = "queue 'q' in vhost '/'", .durable = true};

static struct span table(uint8_t *bytes, struct naive_field first, const char *type)
{
    struct naive_table t = {1, {first}};
    if (type)
        t.fields[t.count++] = (struct naive_field){"x-queue-type", 'S', type, 0};
    return naive_encode(&t, bytes);
}

/* ---- right ones ---------------------------------------------------------------------------------- */

struct right {
    enum setting setting;
    struct naive_field field;
    const char *type; /* of the queue; NULL: it says none */
    uint64_t value;
};

static const struct right rights[] = {
    {SETTING_TYPE, {"x-queue-type", 'S', "classic", 0}, NULL, TYPE_CLASSIC},
    {SETTING_TYPE, {"x-queue-type", 'S', "quorum", 0}, NULL, TYPE_QUORUM},
    {SETTING_TTL, {"x-message-ttl", 'I', "", 0}, NULL, 0},
    {SETTING_TTL, {"x-message-ttl", 'l', "", 60000}, "quorum", 60000},
    {SETTING_EXPIRES, {"x-expires", 'I', "", 1}, NULL, 1},
    {SETTING_LENGTH, {"x-max-length", 'B', "", 9}, NULL, 9},
    {SETTING_BYTES, {"x-max-length-bytes", 'l', "", 1e10}, "quorum", 10000000000},
    {SETTING_OVERFLOW, {"x-overflow", 'S', "drop-head", 0}, NULL, OVERFLOW_DROP_HEAD},
    {SETTING_OVERFLOW, {"x-overflow", 'S', "reject-publish", 0}, "quorum", OVERFLOW_REJECT},
    {SETTING_OVERFLOW, {"x-overflow", 'S', "reject-publish-dlx", 0}, NULL, OVERFLOW_REJECT_DLX},
    {SETTING_DEAD_EXCHANGE, {"x-dead-letter-exchange", 'S', "", 0}, NULL, 1},
    {SETTING_DEAD_STRATEGY,
     {"x-dead-letter-strategy", 'S', "at-least-once", 0},
     "quorum",
     STRATEGY_AT_LEAST_ONCE},
    {SETTING_PRIORITY, {"x-max-priority", 'B', "", 255}, NULL, 255},
    {SETTING_DELIVERY_LIMIT, {"x-delivery-limit", 'I', "", 3}, "quorum", 3},
    {SETTING_DELIVERY_LIMIT, {"x-delivery-limit", 'I', "", -1}, "quorum", NO_LIMIT - 1},
    {SETTING_SEQUENCE, {"x-sequence", 't', "", 1}, NULL, 1},
    {SETTING_MODE, {"x-queue-mode", 'S', "lazy", 0}, NULL, 1},
    {SETTING_VERSION, {"x-queue-version", 'I', "", 2}, NULL, 2},
    {SETTING_LOCATOR, {"x-queue-leader-locator", 'S', "balanced", 0}, "quorum", 1},
    {SETTING_GROUP_SIZE, {"x-quorum-initial-group-size", 'I', "", 3}, "quorum", 3},
    {SETTING_MEMORY_LENGTH, {"x-max-in-memory-length", 'I', "", 5}, "quorum", 5},
    {SETTING_MEMORY_BYTES, {"x-max-in-memory-bytes", 'I', "", 5}, "quorum", 5},
};

Test(settings, what_is_right_is_taken)
{
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        const struct right *r = &rights[i];
        struct settings read, loaded;
        uint8_t bytes[NAIVE_BYTES_MAX];
        char text[600] = "";
        struct span arguments = table(bytes, r->field, r->type);
        cr_assert(settings_read(&read, arguments, &durable, text, sizeof text), "%s: %s", r->field.name,
                  text);
        settings_load(&loaded, arguments);
        cr_assert_eq(read.value[r->setting], r->value, "%s", r->field.name);
        cr_assert_eq(loaded.value[r->setting], r->value, "%s", r->field.name);
        cr_assert_eq(loaded.any, read.any);
    }
}

Test(settings, what_has_no_meaning_here_leaves_a_queue_plain)
{
    struct settings s;
    uint8_t bytes[NAIVE_BYTES_MAX];
    settings_load(&s, table(bytes, (struct naive_field){"x-queue-mode", 'S', "lazy", 0}, "classic"));
    cr_assert(!s.any);
    settings_load(&s, table(bytes, (struct naive_field){"x-something", 'S', "else", 0}, NULL));
    cr_assert(!s.any);
    settings_load(&s, table(bytes, (struct naive_field){"x-max-length", 'I', "", 1}, NULL));
    cr_assert(s.any);
}

/* ---- wrong ones ---------------------------------------------------------------------------------- */

static const struct wrong {
    struct naive_field field;
    const char *type, *text; /* behind "invalid arg 'NAME' for queue 'q' in vhost '/'", or the whole */
} wrongs[] = {
    {{"x-queue-type", 'I', "", 1}, NULL, ": {unacceptable_type,signedint}"},
    {{"x-queue-type", 'S', "circular", 0}, NULL, ": \"unsupported queue type 'circular'\""},
    {{"x-message-ttl", 'S', "5", 0}, NULL, ": \"expected integer, got longstr\""},
    {{"x-message-ttl", 'd', "", 1.5}, NULL, ": \"expected integer, got double\""},
    {{"x-message-ttl", 'I', "", -1}, NULL, ": {value_negative,-1}"},
    {{"x-message-ttl", 'l', "", 5e12}, NULL, ": {value_too_large,5000000000000}"},
    {{"x-expires", 'I', "", 0}, NULL, ": {value_zero,0}"},
    {{"x-expires", 't', "", 1}, NULL, ": \"expected integer, got bool\""},
    {{"x-max-length", 'I', "", -5}, NULL, ": {value_negative,-5}"},
    {{"x-max-length", 'V', "", 0}, NULL, ": \"expected integer, got void\""},
    {{"x-max-length-bytes", 'I', "", -5}, NULL, ": {value_negative,-5}"},
    {{"x-overflow", 'I', "", 0}, NULL, ": {unacceptable_type,signedint}"},
    {{"x-overflow", 'S', "explode", 0}, NULL, ": invalid_overflow"},
    {{"x-dead-letter-exchange", 'I', "", 1},
     NULL,
     "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"},
    {{"x-dead-letter-routing-key", 'I', "", 1}, NULL, ": {unacceptable_type,signedint}"},
    {{"x-dead-letter-routing-key", 'S', "k", 0}, NULL, ": routing_key_but_no_dlx_defined"},
    {{"x-dead-letter-strategy", 'S', "never", 0}, "quorum", ": invalid_dlx_strategy"},
    {{"x-dead-letter-strategy", 'S', "at-most-once", 0}, NULL, " of queue type rabbit_classic_queue"},
    {{"x-max-priority", 'I', "", 256}, NULL, ": {max_value_exceeded,256}"},
    {{"x-max-priority", 'I', "", -1}, NULL, ": {value_negative,-1}"},
    {{"x-max-priority", 'I', "", 5}, "quorum", " of queue type rabbit_quorum_queue"},
    {{"x-delivery-limit", 'I', "", 5}, NULL, " of queue type rabbit_classic_queue"},
    {{"x-delivery-limit", 'I', "", -2}, "quorum", ": {value_negative,-2}"},
    {{"x-sequence", 'S', "true", 0}, NULL, ": {unacceptable_type,longstr}"},
    {{"x-queue-mode", 'S', "fast", 0}, NULL, ": \"unsupported queue mode 'fast'\""},
    {{"x-queue-mode", 'S', "lazy", 0}, "quorum", " of queue type rabbit_quorum_queue"},
    {{"x-queue-version", 'I', "", 3}, NULL, ": \"unsupported queue version '3'\""},
    {{"x-queue-version", 'I', "", 1}, "quorum", " of queue type rabbit_quorum_queue"},
    {{"x-queue-leader-locator", 'S', "here", 0}, NULL, ": invalid_queue_locator_arg"},
    {{"x-initial-cluster-size", 'I', "", 3}, NULL, " of queue type rabbit_classic_queue"},
    {{"x-quorum-initial-group-size", 'I', "", 0}, "quorum", ": {value_zero,0}"},
    {{"x-quorum-initial-group-size", 'I', "", 3}, NULL, " of queue type rabbit_classic_queue"},
    {{"x-max-in-memory-length", 'I', "", 5}, NULL, " of queue type rabbit_classic_queue"},
    {{"x-max-in-memory-bytes", 'I', "", -1}, "quorum", ": {value_negative,-1}"},
};

Test(settings, what_is_wrong_is_told_as_rabbitmq_tells_it)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const struct wrong *w = &wrongs[i];
        struct settings s;
        uint8_t bytes[NAIVE_BYTES_MAX];
        char text[600] = "", wanted[600];
        bool whole = w->text[0] != ':' && w->text[0] != ' ';
        snprintf(wanted, sizeof wanted, whole ? "%.0s%s" : "invalid arg '%s' for queue 'q' in vhost '/'%s",
                 w->field.name, w->text);
        cr_assert(!settings_read(&s, table(bytes, w->field, w->type), &durable, text, sizeof text), "%s",
                  wanted);
        cr_assert_str_eq(text, wanted);
    }
}

Test(settings, a_quorum_queue_is_durable_and_nobodys)
{
    static const struct {
        struct declared declared;
        const char *text;
    } cases[] = {
        {{"queue 'q'", false, false, false}, "invalid property 'non-durable' for queue 'q'"},
        {{"queue 'q'", true, true, false}, "invalid property 'exclusive-owner' for queue 'q'"},
        {{"queue 'q'", true, false, true}, "invalid property 'auto-delete' for queue 'q'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings s;
        uint8_t bytes[NAIVE_BYTES_MAX];
        char text[600];
        struct span arguments = table(bytes, (struct naive_field){"x-a", 'V', "", 0}, "quorum");
        cr_assert(!settings_read(&s, arguments, &cases[i].declared, text, sizeof text));
        cr_assert_str_eq(text, cases[i].text);
        arguments = table(bytes, (struct naive_field){"x-a", 'V', "", 0}, "classic");
        cr_assert(settings_read(&s, arguments, &cases[i].declared, text, sizeof text));
    }
}

Test(settings, a_name_has_at_most_255_bytes)
{
    struct settings s;
    char name[257], text[600];
    uint8_t bytes[NAIVE_BYTES_MAX];
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    struct naive_field field = {"x-dead-letter-exchange", 'S', name, 0};
    cr_assert(!settings_read(&s, table(bytes, field, NULL), &durable, text, sizeof text));
    cr_assert(strstr(text, "longer than 255 bytes"), "%s", text);
    field.text = name + 1;
    cr_assert(settings_read(&s, table(bytes, field, NULL), &durable, text, sizeof text));
    cr_assert_eq(s.text[SETTING_DEAD_EXCHANGE].len, 255);
}

/* An older broker may have taken it. */
Test(settings, loading_passes_over_what_is_wrong)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct settings s;
        uint8_t bytes[NAIVE_BYTES_MAX];
        settings_load(&s, table(bytes, wrongs[i].field, wrongs[i].type));
    }
}

/* ---- policies ------------------------------------------------------------------------------------ */

static struct settings merged(struct naive_field argument, const char *type, struct naive_field policy)
{
    static uint8_t bytes[2][NAIVE_BYTES_MAX];
    struct settings s;
    char text[600];
    struct span definition = table(bytes[1], policy, NULL);
    settings_load(&s, table(bytes[0], argument, type));
    cr_assert(settings_check_policy(definition, text, sizeof text), "%s", text);
    settings_merge(&s, definition);
    return s;
}

Test(settings, of_two_numbers_the_lower_holds)
{
    static const struct {
        double argument, policy;
    } cases[] = {{5, 3}, {3, 5}, {0, 5}, {5, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double argument = cases[i].argument, policy = cases[i].policy;
        struct settings s = merged((struct naive_field){"x-max-length", 'I', "", argument}, NULL,
                                   (struct naive_field){"max-length", 'l', "", policy});
        cr_assert_eq(s.value[SETTING_LENGTH], argument < policy ? argument : policy);
    }
}

Test(settings, of_two_words_the_declarations_holds)
{
    struct settings s = merged((struct naive_field){"x-overflow", 'S', "reject-publish", 0}, NULL,
                               (struct naive_field){"overflow", 'S', "drop-head", 0});
    cr_assert_eq(s.value[SETTING_OVERFLOW], OVERFLOW_REJECT);
    s = merged((struct naive_field){"x-dead-letter-exchange", 'S', "own", 0}, NULL,
               (struct naive_field){"dead-letter-exchange", 'S', "other", 0});
    cr_assert(span_is(s.text[SETTING_DEAD_EXCHANGE], "own"));
}

Test(settings, a_policy_adds_what_the_declaration_leaves_open)
{
    struct settings s = merged((struct naive_field){"x-max-length", 'I', "", 5}, NULL,
                               (struct naive_field){"dead-letter-exchange", 'S', "dlx", 0});
    cr_assert_eq(s.value[SETTING_LENGTH], 5);
    cr_assert(span_is(s.text[SETTING_DEAD_EXCHANGE], "dlx"));
    s = merged((struct naive_field){"x-a", 'V', "", 0}, NULL,
               (struct naive_field){"message-ttl", 'I', "", 9});
    cr_assert(s.any && s.value[SETTING_TTL] == 9);
}

/* A queue that would refuse it as an argument can't be told it by a policy either. */
Test(settings, what_takes_values_away_is_not_for_a_last_value_queue)
{
    struct settings s = merged((struct naive_field){"x-last-value-key", 'S', "k", 0}, NULL,
                               (struct naive_field){"max-length", 'I', "", 0});
    cr_assert_eq(s.value[SETTING_LENGTH], NO_LIMIT);
    s = merged((struct naive_field){"x-last-value-key", 'S', "k", 0}, NULL,
               (struct naive_field){"overflow", 'S', "reject-publish", 0});
    cr_assert_eq(s.value[SETTING_OVERFLOW], NO_LIMIT);
    s = merged((struct naive_field){"x-last-value-key", 'S', "k", 0}, NULL,
               (struct naive_field){"expires", 'I', "", 9});
    cr_assert_eq(s.value[SETTING_EXPIRES], 9);
}

Test(settings, no_limit_is_more_than_any)
{
    struct settings s = merged((struct naive_field){"x-delivery-limit", 'I', "", -1}, "quorum",
                               (struct naive_field){"delivery-limit", 'I', "", 7});
    cr_assert_eq(s.value[SETTING_DELIVERY_LIMIT], 7);
}

Test(settings, a_policy_fits_a_type_that_takes_all_of_it)
{
    static const struct {
        struct naive_field policy;
        bool classic, quorum;
    } cases[] = {
        {{"max-length", 'I', "", 1}, true, true},
        {{"delivery-limit", 'I', "", 1}, false, true},
        {{"dead-letter-strategy", 'S', "at-most-once", 0}, false, true},
        {{"queue-mode", 'S', "lazy", 0}, true, false},
        {{"queue-version", 'I', "", 1}, true, true},
        {{"max-in-memory-length", 'I', "", 1}, true, true},
        {{"alternate-exchange", 'S', "x", 0}, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings classic, quorum;
        uint8_t bytes[2][NAIVE_BYTES_MAX];
        settings_load(&classic, (struct span){NULL, 0});
        settings_load(&quorum, table(bytes[0], (struct naive_field){"x-a", 'V', "", 0}, "quorum"));
        struct span definition = table(bytes[1], cases[i].policy, NULL);
        cr_assert_eq(settings_policy_fits(&classic, definition), cases[i].classic, "%s",
                     cases[i].policy.name);
        cr_assert_eq(settings_policy_fits(&quorum, definition), cases[i].quorum, "%s", cases[i].policy.name);
    }
}

Test(settings, a_policy_is_checked)
{
    static const struct {
        struct naive_field policy;
        const char *text;
    } cases[] = {
        {{"x-max-length", 'I', "", 1}, "'x-max-length' is not something a policy can say"},
        {{"max-priority", 'I', "", 1}, "'max-priority' is not something a policy can say"},
        {{"", 'I', "", 1}, "'' is not something a policy can say"},
        {{"max-length", 'I', "", -1}, "invalid value for 'max-length': {value_negative,-1}"},
        {{"expires", 'S', "1", 0}, "invalid value for 'expires': \"expected integer, got longstr\""},
        {{"overflow", 'S', "x", 0}, "invalid value for 'overflow': invalid_overflow"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[NAIVE_BYTES_MAX];
        char text[600] = "";
        cr_assert(!settings_check_policy(table(bytes, cases[i].policy, NULL), text, sizeof text));
        cr_assert_str_eq(text, cases[i].text);
    }
}
