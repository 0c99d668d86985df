#include "notation.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

struct reader {
    char *at;
    const struct relative *r;
    struct notation *n;
    bool sent;
    const char *wrong;
};

static const char flag_letters[] = "FSRP.UEW";

static void skip_blanks(struct reader *x)
{
    while (*x->at == ' ')
        x->at++;
}

static bool word(struct reader *x, const char *w)
{
    size_t n = strlen(w);
    if (strncmp(x->at, w, n) != 0 || isalnum((unsigned char)x->at[n]) || x->at[n] == '_')
        return false;
    x->at += n;
    skip_blanks(x);
    return true;
}

static int64_t number(struct reader *x)
{
    char *end;
    int64_t v = strtoll(x->at, &end, 0);
    if (end == x->at)
        x->wrong = "a number is expected";
    x->at = end;
    skip_blanks(x);
    return v;
}

/* A timestamp: a number, or last, first (of our stack's), with +N or -N behind. */
static uint32_t timestamp(struct reader *x)
{
    uint32_t base;
    if (strncmp(x->at, "last", 4) == 0) {
        base = x->r->ts_last;
        x->at += 4;
    } else if (strncmp(x->at, "first", 5) == 0) {
        base = x->r->ts_first;
        x->at += 5;
    } else {
        return (uint32_t)number(x);
    }
    if (*x->at == '+' || *x->at == '-')
        base += (uint32_t)number(x);
    skip_blanks(x);
    return base;
}

/* ---- options ------------------------------------------------------------------------------------------- */

static uint8_t *room_for(struct reader *x, size_t bytes)
{
    struct segment *s = &x->n->segment;
    if (s->options_len + bytes > sizeof s->options) {
        x->wrong = "more than 40 bytes of options";
        return s->options;
    }
    s->options_len += bytes;
    return s->options + s->options_len - bytes;
}

static void read_sack(struct reader *x)
{
    struct segment *s = &x->n->segment;
    /* Blocks name the bytes of whoever gets the option. */
    uint32_t isn = x->sent ? x->r->our_isn : x->r->peer_isn;
    s->has |= HAS_SACK;
    while ((isdigit((unsigned char)*x->at) || *x->at == '-') && s->sacks < SACKS_MAX) {
        struct sack *k = &s->sack[s->sacks++];
        k->left = isn + (uint32_t)number(x);
        if (*x->at++ != ':') {
            x->wrong = "sack LEFT:RIGHT";
            return;
        }
        k->right = isn + (uint32_t)number(x);
    }
    uint8_t *p = room_for(x, 2 + 8u * s->sacks);
    p = put_u8(put_u8(p, 5), (uint8_t)(2 + 8 * s->sacks));
    for (unsigned i = 0; i < s->sacks && !x->wrong; i++)
        p = put_be32(put_be32(p, s->sack[i].left), s->sack[i].right);
}

static void read_ts(struct reader *x)
{
    struct segment *s = &x->n->segment;
    s->has |= HAS_TS;
    if (word(x, "val")) {
        s->ts_val = timestamp(x);
        x->n->ts_named |= 1;
    }
    if (word(x, "ecr")) {
        s->ts_ecr = timestamp(x);
        x->n->ts_named |= 2;
    }
    uint8_t *p = room_for(x, 10);
    if (!x->wrong)
        put_be32(put_be32(put_u8(put_u8(p, 8), 10), s->ts_val), s->ts_ecr);
}

static void read_raw(struct reader *x)
{
    unsigned byte;
    while (sscanf(x->at, "%2x", &byte) == 1 && isxdigit((unsigned char)x->at[1]) && !x->wrong) {
        *room_for(x, 1) = (uint8_t)byte;
        x->at += 2;
    }
    skip_blanks(x);
}

static void read_option(struct reader *x)
{
    struct segment *s = &x->n->segment;
    if (word(x, "mss")) {
        s->has |= HAS_MSS;
        s->mss = (uint16_t)number(x);
        put_be16(put_u8(put_u8(room_for(x, 4), 2), 4), s->mss);
    } else if (word(x, "wscale")) {
        s->has |= HAS_WSCALE;
        /* "any" is 255, which nobody can mean. */
        s->wscale = word(x, "any") ? 255 : (uint8_t)number(x);
        put_u8(put_u8(put_u8(room_for(x, 3), 3), 3), s->wscale);
    } else if (word(x, "sackOK")) {
        s->has |= HAS_SACK_OK;
        put_u8(put_u8(room_for(x, 2), 4), 2);
    } else if (word(x, "sack")) {
        read_sack(x);
    } else if (word(x, "TS")) {
        read_ts(x);
    } else if (word(x, "nop")) {
        *room_for(x, 1) = 1;
    } else if (word(x, "eol")) {
        *room_for(x, 1) = 0;
    } else if (word(x, "nots")) {
        x->n->no_ts = true;
    } else if (word(x, "raw")) {
        read_raw(x);
    } else if (*x->at == '*') {
        x->at++;
        x->n->more_options = true;
    } else {
        x->wrong = "no such option";
    }
}

static void read_options(struct reader *x)
{
    x->n->has_options = true;
    skip_blanks(x);
    while (*x->at != '>' && !x->wrong) {
        read_option(x);
        skip_blanks(x);
        if (*x->at == ',')
            x->at++;
        else if (*x->at != '>' && !x->wrong)
            x->wrong = "',' or '>' is expected";
        skip_blanks(x);
    }
    if (!x->wrong)
        x->at++;
    skip_blanks(x);
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void read_flags(struct reader *x)
{
    const char *found;
    if (x->at[0] == '*' && x->at[1] == ' ') {
        x->n->any_flags = true;
        x->at += 2;
        return;
    }
    for (; *x->at && (found = strchr(flag_letters, *x->at)); x->at++)
        x->n->segment.flags |= (uint8_t)(1 << (found - flag_letters));
    if (*x->at == '-')
        x->at++;
    if (*x->at == '?') {
        x->n->any_ack = true;
        x->at++;
    }
    if (*x->at != ' ')
        x->wrong = "flags are some of "
                   "FSRP.UEW";
    skip_blanks(x);
}

/* SEQ, or SEQ:END(LEN). */
static void read_sequence(struct reader *x)
{
    struct segment *s = &x->n->segment;
    if (*x->at == '*') {
        x->at++;
        x->n->any_seq = true;
        skip_blanks(x);
        return;
    }
    uint32_t isn = x->sent ? x->r->peer_isn : x->r->our_isn;
    int64_t from = number(x);
    s->seq = isn + (uint32_t)from;
    if (*x->at != ':')
        return;
    x->at++;
    int64_t to = number(x);
    if (*x->at++ != '(') {
        x->wrong = "SEQ:END(LENGTH)";
        return;
    }
    s->len = (uint32_t)number(x);
    if (to - from != s->len || *x->at++ != ')')
        x->wrong = "SEQ:END(LENGTH): END must be SEQ + LENGTH";
    skip_blanks(x);
}

static void read_wnd(struct reader *x)
{
    x->n->has_wnd = true;
    x->n->wnd_min = x->n->wnd_max = (uint64_t)number(x);
    if (strncmp(x->at, "..", 2) == 0) {
        x->at += 2;
        x->n->wnd_max = isdigit((unsigned char)*x->at) ? (uint64_t)number(x) : UINT64_MAX;
    }
    skip_blanks(x);
}

static void read_attribute(struct reader *x)
{
    struct segment *s = &x->n->segment;
    if (word(x, "ack")) {
        x->n->has_ack = true;
        s->ack = (uint32_t)number(x) + (x->sent ? x->r->our_isn : x->r->peer_isn);
    } else if (word(x, "win")) {
        x->n->has_win = true;
        s->win = (uint16_t)number(x);
    } else if (word(x, "wnd")) {
        read_wnd(x);
    } else if (word(x, "urg")) {
        x->n->has_urg = true;
        s->urg = (uint16_t)number(x);
    } else if (word(x, "doff")) {
        s->data_offset = (int)number(x);
    } else if (word(x, "bad_sum")) {
        s->bad_sum = true;
    } else if (word(x, "garbage")) {
        s->garbage = true;
    } else if (word(x, "congested")) {
        s->congested = true;
    } else if (word(x, "in_pieces")) {
        x->n->in_pieces = true;
    } else if (word(x, "hold")) {
        x->n->hold = true;
    } else if (*x->at == '<') {
        x->at++;
        read_options(x);
    } else {
        x->wrong = "what is this?";
    }
}

const char *notation_read(char *text, bool sent, const struct relative *r, struct notation *n)
{
    struct reader x = {text, r, n, sent, NULL};
    memset(n, 0, sizeof *n);
    skip_blanks(&x);
    read_flags(&x);
    if (!x.wrong)
        read_sequence(&x);
    while (*x.at && !x.wrong)
        read_attribute(&x);
    return x.wrong;
}

static const char *match_options(const struct notation *e, const struct segment *s)
{
    const struct segment *w = &e->segment;
    if (!e->has_options)
        return NULL;
    if ((s->has & w->has) != w->has)
        return "an option is missing";
    if (!e->more_options && s->has != w->has)
        return "there is an option too many";
    if (w->has & HAS_MSS && s->mss != w->mss)
        return "MSS";
    if (w->has & HAS_WSCALE && w->wscale != 255 && s->wscale != w->wscale)
        return "window scale";
    if (e->ts_named & 1 && s->ts_val != w->ts_val)
        return "timestamp value";
    if (e->ts_named & 2 && s->ts_ecr != w->ts_ecr)
        return "timestamp echo";
    if (w->has & HAS_SACK && (s->sacks != w->sacks || memcmp(s->sack, w->sack, s->sacks * sizeof s->sack[0])))
        return "SACK blocks";
    return NULL;
}

const char *notation_match(const struct notation *e, const struct segment *s, const struct relative *r)
{
    const struct segment *w = &e->segment;
    uint64_t wnd = (uint64_t)s->win << (s->flags & SYN ? 0 : r->our_scale);
    if (e->any_flags ? s->flags & (SYN | RST) : (s->flags ^ w->flags) & ~(PSH | (e->any_ack ? ACK : 0)))
        return "flags";
    if (!e->any_seq && s->seq != w->seq)
        return "sequence number";
    if (!e->any_seq && s->len != w->len)
        return "length";
    if (e->has_ack && s->ack != w->ack)
        return "acknowledgement";
    if (e->has_win && s->win != w->win)
        return "window field";
    if (e->has_wnd && (wnd < e->wnd_min || wnd > e->wnd_max))
        return "window";
    return match_options(e, s);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static int write_options(const struct segment *s, bool ours, const struct relative *r, char *text,
                         size_t size)
{
    FILE *f = fmemopen(text, size, "w");
    uint32_t isn = ours ? r->peer_isn : r->our_isn;
    fprintf(f, " <");
    if (s->has & HAS_MSS)
        fprintf(f, "mss %u,", s->mss);
    if (s->has & HAS_SACK_OK)
        fprintf(f, "sackOK,");
    if (s->has & HAS_WSCALE)
        fprintf(f, "wscale %u,", s->wscale);
    if (s->has & HAS_TS)
        fprintf(f, "TS val %u ecr %u,", s->ts_val, s->ts_ecr);
    if (s->has & HAS_SACK)
        fprintf(f, "sack");
    for (unsigned i = 0; i < s->sacks; i++)
        fprintf(f, " %u:%u", s->sack[i].left - isn, s->sack[i].right - isn);
    if (s->has & HAS_OTHER)
        fprintf(f, "others");
    long n = ftell(f);
    fclose(f);
    if (n > 0 && text[n - 1] == ',')
        n--;
    return (int)n + snprintf(text + n, size - (size_t)n, ">");
}

void notation_write(const struct segment *s, bool ours, const struct relative *r, char *text, size_t size)
{
    char flags[16] = "-", options[256] = "", *p = flags;
    for (unsigned i = 0; i < 8; i++)
        if (s->flags & 1 << i)
            *p++ = flag_letters[i];
    uint32_t seq = s->seq - (ours ? r->our_isn : r->peer_isn);
    uint32_t ack = s->ack - (ours ? r->peer_isn : r->our_isn);
    if (s->options_len)
        write_options(s, ours, r, options, sizeof options);
    int n = snprintf(text, size, "%c %s %u:%u(%u)", ours ? '>' : '<', flags, seq, seq + s->len, s->len);
    if (s->flags & ACK)
        n += snprintf(text + n, size - (size_t)n, " ack %u", ack);
    n += snprintf(text + n, size - (size_t)n, " win %u", s->win);
    if (ours && !(s->flags & SYN))
        n += snprintf(text + n, size - (size_t)n, " (%u)", s->win << r->our_scale);
    snprintf(text + n, size - (size_t)n, "%s", options);
}
