#include "naive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

struct word_list {
    unsigned count;
    char word[WORDS_MAX][32];
};

static void split(const char *key, struct word_list *list)
{
    list->count = 0;
    if (!*key)
        return;
    for (;;) {
        size_t n = strcspn(key, ".");
        snprintf(list->word[list->count++], sizeof list->word[0], "%.*s", (int)n, key);
        if (!key[n])
            return;
        key += n + 1;
    }
}

static bool words_match(const struct word_list *pattern, unsigned p, const struct word_list *key, unsigned k)
{
    if (p == pattern->count)
        return k == key->count;
    if (strcmp(pattern->word[p], "#") == 0)
        return words_match(pattern, p + 1, key, k) || (k < key->count && words_match(pattern, p, key, k + 1));
    if (k == key->count)
        return false;
    if (strcmp(pattern->word[p], "*") != 0 && strcmp(pattern->word[p], key->word[k]) != 0)
        return false;
    return words_match(pattern, p + 1, key, k + 1);
}

bool naive_topic(const char *pattern, const char *key)
{
    struct word_list p, k;
    split(pattern, &p);
    split(key, &k);
    return words_match(&p, 0, &k, 0);
}

/* ---- headers -------------------------------------------------------------------------------------- */

static bool is_text(char type)
{
    return type == 'S' || type == 'x';
}

static bool is_numeric(char type)
{
    return strchr("IlBdT", type) != NULL;
}

static bool values_match(const struct naive_field *a, const struct naive_field *b)
{
    if (is_text(a->type))
        return is_text(b->type) && strcmp(a->text, b->text) == 0;
    if (is_numeric(a->type))
        return is_numeric(b->type) && a->number == b->number;
    return a->type == b->type && a->number == b->number;
}

static bool has(const struct naive_table *headers, const struct naive_field *wanted)
{
    for (unsigned i = 0; i < headers->count; i++) {
        const struct naive_field *h = &headers->fields[i];
        if (strcmp(h->name, wanted->name) == 0 && (wanted->type == 'V' || values_match(wanted, h)))
            return true;
    }
    return false;
}

bool naive_headers(const struct naive_table *arguments, const struct naive_table *headers)
{
    const char *mode = "all";
    for (unsigned i = 0; i < arguments->count; i++)
        if (strcmp(arguments->fields[i].name, "x-match") == 0)
            mode = arguments->fields[i].text;
    bool every = true, one = false;
    for (unsigned i = 0; i < arguments->count; i++) {
        const struct naive_field *a = &arguments->fields[i];
        if (strcmp(a->name, "x-match") == 0 || (strncmp(a->name, "x-", 2) == 0 && !strstr(mode, "with-x")))
            continue;
        bool found = has(headers, a);
        every = every && found;
        one = one || found;
    }
    return strncmp(mode, "any", 3) == 0 ? one : every;
}

bool naive_same(const struct naive_table *a, const struct naive_table *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        const struct naive_field *x = &a->fields[i], *y = &b->fields[i];
        if (strcmp(x->name, y->name) != 0 || x->type != y->type || strcmp(x->text, y->text) != 0 ||
            x->number != y->number)
            return false;
    }
    return true;
}

static uint8_t *encode_value(uint8_t *p, const struct naive_field *f)
{
    uint64_t bits;
    switch (f->type) {
    case 'S':
    case 'x':
        return put_span(put_be32(p, (uint32_t)strlen(f->text)), span_str(f->text));
    case 't':
    case 'B':
        return put_u8(p, (uint8_t)f->number);
    case 'I':
        return put_be32(p, (uint32_t)f->number);
    case 'l':
    case 'T':
        return put_be64(p, (uint64_t)f->number);
    case 'd':
        memcpy(&bits, &f->number, sizeof bits);
        return put_be64(p, bits);
    case 'V':
        return p;
    }
    abort();
}

struct span naive_encode(const struct naive_table *table, uint8_t *out)
{
    uint8_t *p = out;
    for (unsigned i = 0; i < table->count; i++) {
        const struct naive_field *f = &table->fields[i];
        p = put_span(put_u8(p, (uint8_t)strlen(f->name)), span_str(f->name));
        p = encode_value(put_u8(p, (uint8_t)f->type), f);
    }
    return span_of(out, (size_t)(p - out));
}

/* ---- chance --------------------------------------------------------------------------------------- */

static struct naive_field random_field(const char *name, struct prng *prng)
{
    static const char types[] = "SSxtIlBdTV";
    static const char *const texts[] = {"", "a", "b", "all"};
    struct naive_field f = {.name = name, .type = types[prng_below(prng, sizeof types - 1)], .text = ""};
    if (is_text(f.type))
        f.text = texts[prng_below(prng, 4)];
    else if (f.type == 'd')
        f.number = (double)prng_below(prng, 5) / 2;
    else if (f.type != 'V')
        f.number = (double)prng_below(prng, f.type == 't' ? 2 : 3);
    return f;
}

void naive_random_table(struct naive_table *table, struct prng *prng, unsigned most)
{
    static const char *const names[] = {"a", "b", "c", "x-a", "x-b", "long-name-of-a-header"};
    unsigned first = (unsigned)prng_below(prng, 6);
    table->count = 0;
    for (unsigned i = 0; i < 6 && table->count < most; i++)
        if (prng_chance(prng, 400000))
            table->fields[table->count++] = random_field(names[(first + i) % 6], prng);
}

void naive_random_key(char *out, struct prng *prng, unsigned words_max, bool wild)
{
    static const char letters[] = "abc";
    unsigned words = (unsigned)prng_below(prng, words_max + 1);
    char *p = out;
    for (unsigned i = 0; i < words; i++) {
        if (i > 0)
            *p++ = '.';
        if (wild && prng_chance(prng, 450000))
            *p++ = "*#"[prng_below(prng, 2)];
        else if (!prng_chance(prng, 60000))
            *p++ = letters[prng_below(prng, 3)];
    }
    *p = '\0';
}
