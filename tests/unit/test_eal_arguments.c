/* The line of dpdk.eal: words, quotes, options. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tcp/eal_arguments.h"

static char error[256];

static struct eal_arguments parsed(const char *text)
{
    struct eal_arguments a;
    cr_assert(eal_arguments_parse(&a, "p", text, error, sizeof error), "%s: %s", text, error);
    cr_assert_str_eq(a.word[0], "p");
    cr_assert_null(a.word[a.count]);
    return a;
}

Test(eal_arguments, words_are_those_of_a_shell)
{
    static const struct {
        const char *text, *words[5];
    } rows[] = {
        {"", {NULL}},
        {"  \t ", {NULL}},
        {"-l 1", {"-l", "1"}},
        {" --vdev=net_tap0,iface=x  --no-huge ", {"--vdev=net_tap0,iface=x", "--no-huge"}},
        {"--vdev='net_tap0,iface=a b' -m 64", {"--vdev=net_tap0,iface=a b", "-m", "64"}},
        {"\"a'b\" 'c\"d' e\\ f '\\'", {"a'b", "c\"d", "e f", "\\"}},
        {"a'b'\"c\"d ''", {"abcd", ""}},
        {"\\\\", {"\\"}},
        {"a\\", {"a\\"}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct eal_arguments a = parsed(rows[r].text);
        int n = 0;
        for (; rows[r].words[n]; n++)
            cr_assert_str_eq(a.word[n + 1], rows[r].words[n], "%s", rows[r].text);
        cr_assert_eq(a.count, n + 1, "%s", rows[r].text);
        eal_arguments_free(&a);
    }
}

Test(eal_arguments, what_is_wrong_is_said)
{
    struct eal_arguments a;
    cr_assert(!eal_arguments_parse(&a, "p", "-l '1", error, sizeof error));
    cr_assert(strstr(error, "a quote is not closed"), "%s", error);
    char many[4 * EAL_ARGUMENTS_MAX] = "";
    for (int i = 0; i < EAL_ARGUMENTS_MAX; i++)
        snprintf(many + 2 * i, sizeof many - 2 * (size_t)i, "a ");
    cr_assert(!eal_arguments_parse(&a, "p", many, error, sizeof error));
    cr_assert(strstr(error, "more than 63 words"), "%s", error);
}

Test(eal_arguments, options_are_found)
{
    struct eal_arguments a = parsed("-l1 -a 0000:01:00.0 --file-prefix=x --allow b -a c --no-pci -m");
    cr_assert(eal_arguments_have(&a, "-l"));
    cr_assert_str_eq(eal_arguments_value(&a, "-l", 0), "1");
    cr_assert_str_eq(eal_arguments_value(&a, "-a", 0), "0000:01:00.0");
    cr_assert_str_eq(eal_arguments_value(&a, "-a", 1), "c");
    cr_assert_null(eal_arguments_value(&a, "-a", 2));
    cr_assert_str_eq(eal_arguments_value(&a, "--file-prefix", 0), "x");
    cr_assert_str_eq(eal_arguments_value(&a, "--allow", 0), "b");
    cr_assert_str_eq(eal_arguments_value(&a, "-m", 0), "");
    cr_assert(eal_arguments_have(&a, "--no-pci"));
    cr_assert(!eal_arguments_have(&a, "--no-p"));
    cr_assert(!eal_arguments_have(&a, "--file"));
    eal_arguments_free(&a);
}
