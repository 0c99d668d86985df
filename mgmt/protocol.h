/* What RabbitMQ's tools go by: its names for protocols, and its version. */
#pragma once

/* What tools compare with, to know what a RabbitMQ can do: 3.13 is the last whose API has all that is here
 * and nothing of the next one's. */
#define RABBITMQ_VERSION "3.13.0"

/* RabbitMQ's name of a protocol, from that of one of our listeners, or from what people call it. The word
 * itself if there is no other. */
const char *protocol_name(const char *name);
