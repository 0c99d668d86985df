#include <criterion/criterion.h>
#include <string.h>

#include "naive.h"
#include "router/arguments.h"

static const char what[] = "queue 'q' in vhost '/'";

/* Compares the two tables; an empty expected text: they say the same. */
static void compare(const struct naive_table *received, const struct naive_table *current,
                    const char *expected)
{
    uint8_t a[NAIVE_BYTES_MAX], b[NAIVE_BYTES_MAX];
    char text[400] = "";
    bool same =
        arguments_equivalent(naive_encode(received, a), naive_encode(current, b), what, text, sizeof text);
    cr_assert_eq(same, !*expected, "%s", text);
    cr_assert_str_eq(text, expected);
}

static const struct naive_table none = {0};

Test(arguments, equal_ones_are_equivalent_in_any_order)
{
    compare(&none, &none, "");
    compare(&(struct naive_table){2, {{"x-a", 'S', "one", 0}, {"x-b", 'I', "", 5}}},
            &(struct naive_table){2, {{"x-b", 'I', "", 5}, {"x-a", 'S', "one", 0}}}, "");
}

/* RabbitMQ takes all integers for one type: clients differ in which they send. */
Test(arguments, integers_of_any_size_are_equal)
{
    compare(&(struct naive_table){1, {{"x-max-length", 'I', "", 5}}},
            &(struct naive_table){1, {{"x-max-length", 'l', "", 5}}}, "");
    compare(&(struct naive_table){1, {{"x-max-length", 'B', "", 5}}},
            &(struct naive_table){1, {{"x-max-length", 'l', "", 5}}}, "");
}

Test(arguments, a_difference_is_told_as_rabbitmq_tells_it)
{
    compare(&(struct naive_table){1, {{"x-max-length", 'I', "", 5}}},
            &(struct naive_table){1, {{"x-max-length", 'l', "", 6}}},
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '5' but current is '6'");
    compare(&(struct naive_table){1, {{"x-mode", 'S', "lazy", 0}}},
            &(struct naive_table){1, {{"x-mode", 't', "", 1}}},
            "inequivalent arg 'x-mode' for queue 'q' in vhost '/': received 'lazy' but current is 'true'");
    compare(&(struct naive_table){1, {{"x-a", 'V', "", 0}}}, &(struct naive_table){1, {{"x-a", 'd', "", 1}}},
            "inequivalent arg 'x-a' for queue 'q' in vhost '/': received a value of type 'void' but current "
            "is a value of type "
            "'double'");
}

Test(arguments, one_that_is_missing_on_either_side_is_a_difference)
{
    const struct naive_table ttl = {1, {{"x-expires", 'I', "", 1000}}};
    compare(&ttl, &none,
            "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received the value '1000' of type "
            "'signedint' but current "
            "is none");
    compare(&none, &ttl,
            "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received none but current is the value "
            "'1000' of type "
            "'signedint'");
}

Test(arguments, what_a_client_adds_for_itself_is_not_compared)
{
    compare(&(struct naive_table){1, {{"my-note", 'S', "a", 0}}}, &none, "");
    compare(&(struct naive_table){1, {{"X-a", 'S', "a", 0}}},
            &(struct naive_table){1, {{"X-a", 'S', "b", 0}}}, "");
    compare(&(struct naive_table){1, {{"alternate-exchange", 'S', "a", 0}}}, &none,
            "inequivalent arg 'alternate-exchange' for queue 'q' in vhost '/': received the value 'a' of "
            "type 'longstr' but "
            "current is none");
}

/* Names and values are the peer's: whatever their length, the text ends within its bounds. */
Test(arguments, the_text_fits_whatever_the_peer_sends)
{
    uint8_t bytes[1000], *at = bytes;
    *at++ = 255;
    memset(at, 'n', 255);
    memcpy(at, "x-", 2);
    at += 255;
    *at++ = 'S';
    at = put_be32(at, 500);
    memset(at, 'v', 500);
    at += 500;
    struct span table = span_of(bytes, (size_t)(at - bytes));
    cr_assert(table_check(table));
    for (size_t size = 1; size < 800; size++) {
        char text[801];
        memset(text, '!', sizeof text);
        cr_assert(!arguments_equivalent(table, span_of(bytes, 0), what, text, size));
        cr_assert_lt(strnlen(text, size), size);
        cr_assert_eq(text[size], '!');
    }
}

Test(arguments, flags_are_compared_by_name)
{
    char text[200] = "";
    cr_assert(flag_equivalent("durable", true, true, what, text, sizeof text));
    cr_assert_str_empty(text);
    cr_assert(!flag_equivalent("durable", true, false, what, text, sizeof text));
    cr_assert_str_eq(
        text,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'");
}
