/* Messages published and got, as a client does it. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "amqp_json.h"
#include "fields.h"
#include "handlers.h"
#include "inventory.h"
#include "session.h"

enum {
    GET_BYTES_MAX = 32 * 1024 * 1024, /* of bodies in one answer: there it ends */
    BLOCK_BYTES = 4096,
};

/* ---- publish ------------------------------------------------------------------------------------------- */

struct publish {
    const char *routing_key, *payload, *encoding;
    const json_t *properties;
};

static const struct field publish_fields[] = {
    FIELD(struct publish, routing_key, "routing_key", TEXT, true),
    FIELD(struct publish, payload, "payload", TEXT, true),
    FIELD(struct publish, encoding, "payload_encoding", TEXT, true),
    FIELD(struct publish, properties, "properties", OBJECT, true),
};

/* malloc'd; NULL bytes: the reply says why not. */
static amqp_bytes_t payload_of(const struct publish *publish, struct reply *reply)
{
    size_t len = strlen(publish->payload);
    amqp_bytes_t payload = {len, malloc(len + 1)};
    bool coded = strcmp(publish->encoding, "base64") == 0;
    if (!payload.bytes)
        reply_error(reply, 503, "no memory");
    else if (!coded && strcmp(publish->encoding, "string") == 0)
        memcpy(payload.bytes, publish->payload, len);
    else if (!coded)
        reply_error(reply, 400, "the field 'payload_encoding' must be string or base64");
    else if (sodium_base642bin(payload.bytes, len + 1, publish->payload, len, NULL, &payload.len, NULL,
                               sodium_base64_VARIANT_ORIGINAL) != 0)
        reply_error(reply, 400, "the field 'payload' is not base64");
    if (!reply->status)
        return payload;
    free(payload.bytes);
    return (amqp_bytes_t){0};
}

/* Takes a returned message from the wire. */
static bool take_returned(struct session *session, struct reply *reply)
{
    amqp_message_t message;
    if (!session_answered(session, amqp_read_message(session->connection, session->channel, &message, 0),
                          reply))
        return false;
    amqp_destroy_message(&message);
    return true;
}

/* What comes until the message is confirmed: perhaps it itself, before that. */
static void await_confirm(struct session *session, struct reply *reply)
{
    struct timeval limit = {.tv_sec = SESSION_S};
    amqp_frame_t frame;
    bool routed = true;
    for (;;) {
        int status = amqp_simple_wait_frame_noblock(session->connection, &frame, &limit);
        amqp_rpc_reply_t answer = {.reply_type = AMQP_RESPONSE_LIBRARY_EXCEPTION, .library_error = status};
        if (status == AMQP_STATUS_OK && frame.frame_type != AMQP_FRAME_METHOD)
            continue;
        if (status == AMQP_STATUS_OK)
            answer = (amqp_rpc_reply_t){.reply_type = AMQP_RESPONSE_SERVER_EXCEPTION,
                                        .reply = frame.payload.method};
        switch (status == AMQP_STATUS_OK ? frame.payload.method.id : 0) {
        case AMQP_BASIC_ACK_METHOD:
            reply_json(reply, json_pack("{sb}", "routed", routed));
            return;
        case AMQP_BASIC_NACK_METHOD:
            reply_error(reply, 400, "the queue did not take the message");
            return;
        case AMQP_BASIC_RETURN_METHOD:
            routed = false;
            if (!take_returned(session, reply))
                return;
            continue;
        case AMQP_CONNECTION_BLOCKED_METHOD:
        case AMQP_CONNECTION_UNBLOCKED_METHOD:
            continue;
        default:
            session_answered(session, answer, reply);
            return;
        }
    }
}

static void publish_it(struct session *session, const struct call *call, const struct publish *publish,
                       const amqp_basic_properties_t *properties, amqp_bytes_t payload, struct reply *reply)
{
    amqp_confirm_select(session->connection, session->channel);
    if (!session_done(session, reply))
        return;
    int status = amqp_basic_publish(session->connection, session->channel,
                                    session_bytes(inventory_exchange(call->argument[1])),
                                    session_bytes(publish->routing_key), 1, 0, properties, payload);
    if (status == AMQP_STATUS_OK)
        await_confirm(session, reply);
    else
        reply_error(reply, 503, "the broker does not answer: %s", amqp_error_string2(status));
}

void publish_message(const struct call *call, struct reply *reply)
{
    struct publish publish = {0};
    struct session session;
    amqp_basic_properties_t properties;
    amqp_pool_t pool;
    const char *wrong;
    if (!fields_read(call->body, publish_fields, sizeof publish_fields / sizeof *publish_fields, &publish,
                     reply))
        return;
    if (strlen(publish.routing_key) > PATH_NAME_BYTES) {
        reply_error(reply, 400, "the field 'routing_key' is longer than 255 bytes");
        return;
    }
    amqp_bytes_t payload = payload_of(&publish, reply);
    if (!payload.bytes)
        return;
    init_amqp_pool(&pool, BLOCK_BYTES);
    if (!amqp_properties_of(publish.properties, &properties, &pool, &wrong)) {
        reply_error(reply, 400, "the field 'properties' is wrong: %s", wrong);
    } else if (session_open(&session, call, call->argument[0], reply)) {
        publish_it(&session, call, &publish, &properties, payload, reply);
        session_close(&session);
    }
    empty_amqp_pool(&pool);
    free(payload.bytes);
}

/* ---- get ----------------------------------------------------------------------------------------------- */

struct get {
    const char *ackmode, *encoding;
    json_int_t count, truncate;
};

static const struct field get_fields[] = {
    FIELD(struct get, ackmode, "ackmode", TEXT, true),
    FIELD(struct get, count, "count", WHOLE, true),
    FIELD(struct get, encoding, "encoding", TEXT, true),
    FIELD(struct get, truncate, "truncate", WHOLE, false),
};

/* What becomes of the messages. */
static const struct ending {
    const char *mode;
    bool back, requeue;
} endings[] = {{"ack_requeue_false", false, false},
               {"ack_requeue_true", true, true},
               {"reject_requeue_false", true, false},
               {"reject_requeue_true", true, true}};

static const struct ending *ending_of(const struct get *get, struct reply *reply)
{
    bool coded = strcmp(get->encoding, "base64") == 0;
    if (!coded && strcmp(get->encoding, "auto") != 0) {
        reply_error(reply, 400, "the field 'encoding' must be auto or base64");
        return NULL;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcmp(get->ackmode, endings[i].mode) == 0)
            return &endings[i];
    reply_error(reply, 400,
                "the field 'ackmode' must be ack_requeue_true, ack_requeue_false, "
                "reject_requeue_true or reject_requeue_false");
    return NULL;
}

/* What isn't text is base64. */
static void put_payload(json_t *answer, amqp_bytes_t body, const struct get *get)
{
    size_t len = get->truncate >= 0 && (size_t)get->truncate < body.len ? (size_t)get->truncate : body.len;
    const char *bytes = len ? body.bytes : "";
    json_t *text = strcmp(get->encoding, "auto") == 0 ? json_stringn(bytes, len) : NULL;
    json_object_set_new(answer, "payload_encoding", json_string(text ? "string" : "base64"));
    if (!text) {
        size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
        char *coded = malloc(room);
        if (coded)
            sodium_bin2base64(coded, room, (const unsigned char *)bytes, len, sodium_base64_VARIANT_ORIGINAL);
        text = json_string(coded ? coded : "");
        free(coded);
    }
    json_object_set_new(answer, "payload", text);
}

static json_t *text_of(amqp_bytes_t bytes)
{
    json_t *text = json_stringn(bytes.len ? bytes.bytes : "", bytes.len);
    return text ? text : json_null();
}

static json_t *message_json(const amqp_basic_get_ok_t *ok, const amqp_message_t *message,
                            const struct get *get)
{
    json_t *answer = json_pack(
        "{sI,sb,so,so,sI,so}", "payload_bytes", (json_int_t)message->body.len, "redelivered", ok->redelivered,
        "exchange", text_of(ok->exchange), "routing_key", text_of(ok->routing_key), "message_count",
        (json_int_t)ok->message_count, "properties", amqp_properties_json(&message->properties));
    put_payload(answer, message->body, get);
    return answer;
}

/* False: there is none, or the reply says what is wrong. */
static bool get_one(struct session *session, const struct call *call, const struct get *get, json_t *list,
                    uint64_t *tag, size_t *bytes, struct reply *reply)
{
    amqp_rpc_reply_t answer =
        amqp_basic_get(session->connection, session->channel, session_bytes(call->argument[1]), 0);
    if (!session_answered(session, answer, reply) || answer.reply.id != AMQP_BASIC_GET_OK_METHOD)
        return false;
    const amqp_basic_get_ok_t *ok = answer.reply.decoded;
    amqp_message_t message;
    *tag = ok->delivery_tag;
    if (!session_answered(session, amqp_read_message(session->connection, session->channel, &message, 0),
                          reply))
        return false;
    *bytes += message.body.len;
    json_array_append_new(list, message_json(ok, &message, get));
    amqp_destroy_message(&message);
    amqp_maybe_release_buffers(session->connection);
    return true;
}

static void get_them(struct session *session, const struct call *call, const struct get *get,
                     const struct ending *ending, struct reply *reply)
{
    json_t *list = json_array();
    uint64_t tag = 0;
    size_t bytes = 0;
    for (json_int_t i = 0; i < get->count && bytes < GET_BYTES_MAX; i++)
        if (!get_one(session, call, get, list, &tag, &bytes, reply))
            break;
    if (reply->status) {
        json_decref(list);
        return;
    }
    if (tag && ending->back)
        amqp_basic_nack(session->connection, session->channel, tag, 1, ending->requeue);
    else if (tag)
        amqp_basic_ack(session->connection, session->channel, tag, 1);
    reply_json(reply, list);
}

void get_messages(const struct call *call, struct reply *reply)
{
    struct get get = {.truncate = -1};
    struct session session;
    if (!fields_read(call->body, get_fields, sizeof get_fields / sizeof *get_fields, &get, reply))
        return;
    const struct ending *ending = ending_of(&get, reply);
    if (!ending || !session_open(&session, call, call->argument[0], reply))
        return;
    get_them(&session, call, &get, ending, reply);
    session_close(&session);
}
