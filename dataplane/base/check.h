/*
 * CHECK: an assertion that stays on in production, for our own mistakes only. No peer, disk or operator
 * can trip one: what they do wrong has an answer of its own (router/errors.def, or a return value).
 */
#pragma once

/* Says which check failed on stderr and aborts. Any thread. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (__builtin_expect(!(x), 0))                                                                       \
            check_failed(__FILE__, __LINE__, #x);                                                            \
    } while (0)

/* A place that can only be reached by a mistake of ours. */
#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")
