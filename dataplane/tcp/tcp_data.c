/*
 * Received data, happy path: data_input → deliver → the user's data(). What comes out of order, or while the
 * user takes nothing, is kept where it is; the list's nodes lie in the heads of the device's buffers. When
 * too many of these are kept, data is copied to memory of its own size instead, so that no peer can take the
 * port's buffers away.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tcp/tcp_inside.h"

/* ---- kept segments ---------------------------------------------------------------------------------- */

static struct kept *keep_copy(struct tcp *tcp, const struct segment *s)
{
    if (tcp->bytes_copied + s->len > TCP_COPIED_BYTES)
        return NULL;
    tcp->bytes_copied += s->len;
    tcp->stats.buffers_copied++;
    uint8_t *block = malloc(FRAME_HEADROOM + (size_t)s->len);
    CHECK(block);
    struct kept *k = (struct kept *)(void *)block;
    static_assert(sizeof *k <= FRAME_HEADROOM, "a node fits before the data");
    k->at = block + FRAME_HEADROOM;
    memcpy(k->at, s->data, s->len);
    k->buffer = block + 1;
    return k;
}

static bool is_copy(const struct kept *k)
{
    return (uintptr_t)k->buffer & 1;
}

/* *taken: the frame's buffer is the list's now. NULL: there is no room, the peer will send it again. */
static struct kept *keep(struct conn *c, const struct segment *s, struct frame *frame, bool *taken)
{
    struct tcp *tcp = c->tcp;
    struct kept *k;
    if (tcp->frames_kept >= tcp->frames_kept_max) {
        k = keep_copy(tcp, s);
        if (!k)
            return NULL;
    } else {
        uintptr_t room =
            ((uintptr_t)frame->room + _Alignof(struct kept) - 1) & ~(uintptr_t)(_Alignof(struct kept) - 1);
        k = (struct kept *)room;
        k->at = s->data;
        k->buffer = frame->buffer;
        *taken = true;
        tcp->frames_kept++;
    }
    k->next = NULL;
    k->seq = s->seq;
    k->len = k->whole = s->len;
    k->fin = s->flags & SEG_FIN;
    return k;
}

static void unkeep(struct tcp *tcp, const struct kept *k)
{
    if (is_copy(k))
        tcp->bytes_copied -= k->whole;
    else
        tcp->frames_kept--;
}

static void rekeep(struct tcp *tcp, const struct kept *k)
{
    if (is_copy(k))
        tcp->bytes_copied += k->whole;
    else
        tcp->frames_kept++;
}

static void drop(struct tcp *tcp, struct kept *k)
{
    unkeep(tcp, k);
    tcp_free_buffer(tcp, k->buffer);
}

static void drop_all(struct tcp *tcp, struct kept *k)
{
    for (struct kept *next; k; k = next) {
        next = k->next;
        drop(tcp, k);
    }
}

void data_forget(struct conn *c)
{
    drop_all(c->tcp, c->kept);
    drop_all(c->tcp, c->ahead);
    c->kept = c->ahead = c->ahead_last = NULL;
    c->kept_end = &c->kept;
    c->ahead_count = 0;
}

/* ---- windows ---------------------------------------------------------------------------------------- */

static uint32_t window_told(const struct conn *c)
{
    return seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
}

uint32_t data_window(const struct conn *c)
{
    uint32_t room = c->rcv_buffer > c->rcv_unread ? c->rcv_buffer - c->rcv_unread : 0;
    uint32_t most = (uint32_t)UINT16_MAX << c->scale_out, told = window_told(c);
    uint32_t step = c->mss < c->rcv_buffer / 2 ? c->mss : c->rcv_buffer / 2;
    /* RFC 9293 section 3.8.6: a window never shrinks; and no silly one is told (3.8.6.2.2). */
    if (room < told + step)
        room = told;
    return room < most ? room : most;
}

/* Worth a segment of its own: a quarter of the buffer, or the window was shut. */
bool data_window_grew(const struct conn *c)
{
    uint32_t window = data_window(c), told = window_told(c);
    return window > told && (window - told >= c->rcv_buffer / 4 || told < c->mss);
}

/* Each time that a whole window has been read: if we wait for the peer and it took so short that the window
 * may be what holds him back, it is doubled. What it costs is bounded: a user who doesn't read has no more
 * sent than that. If the peer waits for us, a window is only the length of a queue that leaves the cache: it
 * shrinks.
 */
static void tune(struct conn *c)
{
    uint64_t took_us = c->tcp->now_us - c->tune_us;
    if (c->tune_bytes < c->rcv_buffer)
        return;
    uint32_t most = c->tcp->options.rx_window_max;
    if (c->tcp->behind && c->rcv_buffer > RX_WINDOW_FIRST)
        c->rcv_buffer -= c->rcv_buffer / TUNE_SHRINK;
    else if (!c->tcp->behind && took_us < TUNE_US)
        c->rcv_buffer = c->rcv_buffer < most / 2 ? 2 * c->rcv_buffer : most;
    c->tune_us = c->tcp->now_us;
    c->tune_bytes = 0;
}

void data_consumed(struct conn *c, uint32_t bytes)
{
    CHECK(bytes <= c->rcv_unread);
    c->rcv_unread -= bytes;
    c->tune_bytes += bytes;
    tune(c);
    conn_list(c, LIST_ACK);
}

/* ---- to the user ------------------------------------------------------------------------------------ */

/* True: the user took it. */
static bool hand_up(struct conn *c, uint8_t *at, uint32_t len, uint8_t *room, void *buffer)
{
    if (c->fin_queued || c->detached) {
        /* Nobody wants it. */
        tcp_free_buffer(c->tcp, buffer);
        c->rcv_unread -= len;
        return true;
    }
    return c->up.data(c->up.owner, c->user, span_of(at, len), room, buffer);
}

static void tell_end(struct conn *c)
{
    if (c->fin_received && !c->ended_told && !c->kept && !c->detached) {
        c->ended_told = true;
        if (!c->fin_queued)
            c->up.ended(c->up.owner, c->user);
    }
}

void data_resume(struct conn *c)
{
    c->paused = false;
    while (c->kept && !c->paused && !c->dead) {
        struct kept k = *c->kept;
        struct kept *node = c->kept;
        uint8_t *room = is_copy(&k) ? (uint8_t *)k.buffer - 1 : (uint8_t *)node;
        c->kept = k.next;
        if (!c->kept)
            c->kept_end = &c->kept;
        unkeep(c->tcp, &k);
        if (k.len == 0) {
            tcp_free_buffer(c->tcp, k.buffer);
        } else if (!hand_up(c, k.at, k.len, room, k.buffer)) {
            /* As it was. */
            *node = k;
            rekeep(c->tcp, &k);
            if (!c->kept)
                c->kept_end = &node->next;
            c->kept = node;
            c->paused = true;
        }
    }
    if (!c->dead)
        tell_end(c);
}

static void append(struct conn *c, struct kept *k)
{
    k->next = NULL;
    *c->kept_end = k;
    c->kept_end = &k->next;
}

/* The next bytes in order. *taken: the buffer is somebody else's now. False: there is no room for them. */
static bool deliver(struct conn *c, const struct segment *s, struct frame *frame, bool *taken)
{
    struct kept *k = NULL;
    if (c->paused || c->kept) {
        k = keep(c, s, frame, taken);
        if (!k)
            return false;
        append(c, k);
    }
    c->rcv_nxt += s->len;
    c->rcv_unread += s->len;
    if (k)
        return true;
    *taken = hand_up(c, s->data, s->len, frame->room, frame->buffer);
    if (*taken || c->dead)
        return true;
    c->paused = true;
    k = keep(c, s, frame, taken);
    /* No room even for this: it comes again. */
    if (!k) {
        c->rcv_nxt -= s->len;
        c->rcv_unread -= s->len;
        return false;
    }
    append(c, k);
    return true;
}

/* ---- out of order ----------------------------------------------------------------------------------- */

/* RFC 2018 section 4: the block with what has come last is the first, then the others, the latest first. */
static void note_block(struct conn *c, uint32_t left, uint32_t right)
{
    struct sack_block blocks[SEGMENT_SACKS];
    unsigned n = 1;
    for (unsigned i = 0; i < c->sacks; i++) {
        struct sack_block b = c->sack_block[i];
        if (seq_leq(b.left, right) && seq_leq(left, b.right)) {
            left = seq_lt(b.left, left) ? b.left : left;
            right = seq_max(b.right, right);
        } else if (n < SEGMENT_SACKS) {
            blocks[n++] = b;
        }
    }
    blocks[0] = (struct sack_block){left, right};
    memcpy(c->sack_block, blocks, n * sizeof *blocks);
    c->sacks = (uint8_t)n;
}

static void prune_blocks(struct conn *c)
{
    unsigned n = c->dsack;
    for (unsigned i = n; i < c->sacks; i++)
        if (seq_lt(c->rcv_nxt, c->sack_block[i].right))
            c->sack_block[n++] = c->sack_block[i];
    c->sacks = (uint8_t)n;
}

/* RFC 2883: what has come twice is told once. */
static void note_duplicate(struct conn *c, uint32_t left, uint32_t right)
{
    c->tcp->stats.duplicates++;
    if (!c->sack)
        return;
    if (!c->dsack && c->sacks == SEGMENT_SACKS)
        c->sacks--;
    if (!c->dsack)
        memmove(c->sack_block + 1, c->sack_block, c->sacks++ * sizeof *c->sack_block);
    c->sack_block[0] = (struct sack_block){left, right};
    c->dsack = true;
}

static void trim_front(struct kept *k, uint32_t seq)
{
    uint32_t n = seq - k->seq;
    k->seq += n;
    k->at += n;
    k->len -= n;
}

/* After `before` (NULL: at the head). What is there already stays; the new one is cut to the gap. False:
 * there is none, and k is freed. */
static bool insert(struct conn *c, struct kept *before, struct kept *k)
{
    struct kept **at = before ? &before->next : &c->ahead;
    struct tcp *tcp = c->tcp;
    if (before && seq_lt(k->seq, before->seq + before->len)) {
        uint32_t end = before->seq + before->len;
        if (seq_lt(k->seq + k->len, end) || (k->seq + k->len == end && !k->fin)) {
            drop(tcp, k);
            return false;
        }
        trim_front(k, end);
    }
    /* Those wholly covered go. */
    for (struct kept *covered; (covered = *at) && seq_leq(covered->seq + covered->len, k->seq + k->len);) {
        k->fin |= covered->fin;
        *at = covered->next;
        c->ahead_count--;
        drop(tcp, covered);
    }
    if (*at && seq_lt((*at)->seq, k->seq + k->len)) {
        k->len = (*at)->seq - k->seq;
        k->fin = false;
    }
    k->next = *at;
    *at = k;
    c->ahead_count++;
    if (!k->next)
        c->ahead_last = k;
    return true;
}

/* The one behind which k belongs, NULL: none. *left: where the bytes begin that k is the end of, as far as is
 * known. */
static struct kept *before(const struct conn *c, const struct kept *k, uint32_t *left)
{
    struct kept *last = NULL;
    *left = k->seq;
    /* What comes next in order, usually; then the blocks told before know where it began. */
    if (c->ahead && seq_leq(c->ahead_last->seq, k->seq))
        return c->ahead_last;
    uint32_t begun = 0;
    for (struct kept *i = c->ahead; i && seq_leq(i->seq, k->seq); last = i, i = i->next)
        if (!last || seq_lt(last->seq + last->len, i->seq))
            begun = i->seq;
    if (last && seq_leq(k->seq, last->seq + last->len))
        *left = begun;
    return last;
}

/* Where the bytes end that begin with k. */
static uint32_t right_of(const struct kept *k)
{
    uint32_t right = k->seq + k->len;
    for (const struct kept *i = k->next; i && i->seq == right; i = i->next)
        right += i->len;
    return right;
}

static bool keep_ahead(struct conn *c, struct segment *s, struct frame *frame)
{
    uint32_t left;
    struct tcp *tcp = c->tcp;
    bool taken = false;
    tcp->stats.out_of_order++;
    if (c->ahead_count >= TCP_OUT_OF_ORDER) {
        tcp->stats.out_of_order_dropped++;
        return false;
    }
    struct kept *k = keep(c, s, frame, &taken);
    if (!k)
        return false;
    struct kept *last = before(c, k, &left);
    bool inserted = insert(c, last, k);
    if (c->sack && s->len)
        note_block(c, left, inserted ? right_of(k) : s->seq + s->len);
    if (!inserted)
        note_duplicate(c, s->seq, s->seq + s->len);
    return taken;
}

static void take_fin(struct conn *c)
{
    if (c->fin_received)
        return;
    c->fin_received = true;
    c->rcv_nxt++;
}

/* What has been waiting for the gap to close. */
static void take_ahead(struct conn *c)
{
    while (c->ahead && seq_leq(c->ahead->seq, c->rcv_nxt) && !c->dead) {
        struct kept *k = c->ahead;
        c->ahead = k->next;
        c->ahead_count--;
        bool fin = k->fin;
        if (seq_lt(k->seq + k->len, c->rcv_nxt) || (k->seq + k->len == c->rcv_nxt && !fin)) {
            drop(c->tcp, k);
            continue;
        }
        trim_front(k, c->rcv_nxt);
        c->rcv_nxt += k->len;
        c->rcv_unread += k->len;
        append(c, k);
        if (fin)
            take_fin(c);
    }
    if (!c->ahead)
        c->ahead_last = NULL;
}

/* ---- a segment's data ------------------------------------------------------------------------------- */

/* Cuts the segment to the window. */
static void trim(struct conn *c, struct segment *s)
{
    if (seq_lt(s->seq, c->rcv_nxt)) {
        uint32_t old = c->rcv_nxt - s->seq;
        uint32_t n = old < s->len ? old : s->len;
        if (n)
            note_duplicate(c, s->seq, s->seq + n);
        s->seq += n;
        s->data += n;
        s->len -= n;
        c->ack_now = true;
    }
    if (seq_lt(c->rcv_adv, s->seq + s->len)) {
        s->len = seq_lt(s->seq, c->rcv_adv) ? c->rcv_adv - s->seq : 0;
        s->flags &= (uint8_t)~SEG_FIN;
        c->ack_now = true;
    }
}

bool data_input(struct conn *c, struct segment *s, struct frame *frame)
{
    bool taken = false;
    trim(c, s);
    if (!s->len && !(s->flags & SEG_FIN))
        return false;
    c->ack_owed = true;
    if (s->seq != c->rcv_nxt) {
        if (seq_lt(c->rcv_nxt, s->seq)) {
            taken = keep_ahead(c, s, frame);
            c->ack_now = true;
        }
        return taken;
    }
    if (s->len && !deliver(c, s, frame, &taken))
        return false;
    if (c->dead)
        return taken;
    c->tcp->stats.bytes_in += s->len;
    if (s->flags & SEG_FIN)
        take_fin(c);
    if (c->ahead) {
        /* RFC 5681 section 4.2: a segment that fills a gap is acknowledged at once. */
        c->ack_now = true;
        take_ahead(c);
        prune_blocks(c);
        if (!c->paused)
            data_resume(c);
    } else {
        c->sacks = c->dsack;
    }
    if (!c->dead)
        tell_end(c);
    return taken;
}
