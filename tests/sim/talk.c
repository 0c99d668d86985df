#include "talk.h"

#include <string.h>

#include "base/limits.h"

enum { HEAD_BYTES = 7, PROTOCOL_HEADER_BYTES = 8 };

void talk_init(struct talk *talk, struct talk_user user, bool opening)
{
    *talk = (struct talk){.user = user, .opening = opening};
}

static void half_free(struct half *half)
{
    buffer_free(&half->args);
    buffer_free(&half->properties);
    buffer_free(&half->body);
    *half = (struct half){0};
}

void talk_free(struct talk *talk)
{
    for (unsigned i = 0; i < TALK_CHANNELS; i++)
        half_free(&talk->half[i]);
    buffer_free(&talk->in);
}

static void broken(struct talk *talk, const char *why)
{
    talk->broken = true;
    talk->user.broken(talk->user.owner, why);
}

static struct reader whole(const struct buffer *b)
{
    return (struct reader){b->at, b->at ? b->at + b->len : NULL, false};
}

static void finish(struct talk *talk, uint16_t channel)
{
    struct half *half = &talk->half[channel];
    struct said said = {channel, half->method, whole(&half->args), whole(&half->properties),
                        whole(&half->body)};
    struct half done = *half;
    *half = (struct half){0}; /* before the call: a closed channel throws its half away */
    talk->user.said(talk->user.owner, &said);
    half_free(&done);
}

static bool has_content(uint32_t method)
{
    return method == BASIC_PUBLISH || method == BASIC_RETURN || method == BASIC_DELIVER ||
           method == BASIC_GET_OK;
}

static void on_method(struct talk *talk, uint16_t channel, struct reader payload)
{
    struct half *half = &talk->half[channel];
    struct said said = {.channel = channel, .method = read_long(&payload)};
    said.args = payload;
    if (half->method && said.method != CHANNEL_CLOSE && said.method != CHANNEL_CLOSE_OK) {
        broken(talk, "a method came where content was to come");
        return;
    }
    half_free(half);
    if (!has_content(said.method)) {
        talk->user.said(talk->user.owner, &said);
        return;
    }
    half->method = said.method;
    buffer_add(&half->args, payload.at, (size_t)(payload.end - payload.at));
    if (talk->user.begun)
        talk->user.begun(talk->user.owner, &said);
}

static void on_header(struct talk *talk, uint16_t channel, struct reader payload)
{
    struct half *half = &talk->half[channel];
    if (!half->method || half->header) {
        broken(talk, "a content header came where none was to come");
        return;
    }
    uint16_t class_id = read_short(&payload), weight = read_short(&payload);
    half->size = read_longlong(&payload);
    half->header = true;
    if (class_id != 60 || weight != 0 || payload.bad) {
        broken(talk, "malformed content header");
        return;
    }
    buffer_add(&half->properties, payload.at, (size_t)(payload.end - payload.at));
    if (half->size == 0)
        finish(talk, channel);
}

static void on_body(struct talk *talk, uint16_t channel, struct reader payload)
{
    struct half *half = &talk->half[channel];
    if (!half->header) {
        broken(talk, "a content body came where none was to come");
        return;
    }
    buffer_add(&half->body, payload.at, (size_t)(payload.end - payload.at));
    if (half->body.len > half->size)
        broken(talk, "a body is larger than its header says");
    else if (half->body.len == half->size)
        finish(talk, channel);
}

static void on_frame(struct talk *talk, uint8_t type, uint16_t channel, struct reader payload)
{
    struct said beat = {.channel = channel};
    if (channel >= TALK_CHANNELS)
        broken(talk, "a channel number that is never used");
    else if (type == FRAME_OF_METHOD)
        on_method(talk, channel, payload);
    else if (type == FRAME_OF_HEADER)
        on_header(talk, channel, payload);
    else if (type == FRAME_OF_BODY)
        on_body(talk, channel, payload);
    else if (type == FRAME_OF_HEARTBEAT && channel == 0 && payload.at == payload.end)
        talk->user.said(talk->user.owner, &beat);
    else
        broken(talk, "a malformed frame");
}

/* Returns the bytes of the frame at p, 0 when it isn't complete. */
static size_t take_frame(struct talk *talk, const uint8_t *p, size_t n)
{
    struct reader head = {p, p + n, false};
    uint8_t type = read_octet(&head);
    uint16_t channel = read_short(&head);
    uint32_t size = read_long(&head);
    if (head.bad || n < (size_t)size + HEAD_BYTES + 1)
        return 0;
    if (size > FRAME_BYTES_MAX - 8)
        broken(talk, "a frame is larger than agreed");
    else if (p[HEAD_BYTES + size] != 0xce)
        broken(talk, "a frame doesn't end with 0xce");
    else
        on_frame(talk, type, channel, (struct reader){p + HEAD_BYTES, p + HEAD_BYTES + size, false});
    return size + HEAD_BYTES + 1;
}

static size_t take_some(struct talk *talk, const uint8_t *p, size_t n)
{
    if (!talk->opening)
        return take_frame(talk, p, n);
    if (n < PROTOCOL_HEADER_BYTES)
        return 0;
    talk->opening = false;
    return PROTOCOL_HEADER_BYTES;
}

void talk_feed(struct talk *talk, const void *bytes, size_t n)
{
    size_t used = 0, some;
    if (talk->broken)
        return;
    buffer_add(&talk->in, bytes, n);
    while (!talk->broken && used < talk->in.len &&
           (some = take_some(talk, talk->in.at + used, talk->in.len - used)))
        used += some;
    buffer_drop(&talk->in, used);
}
