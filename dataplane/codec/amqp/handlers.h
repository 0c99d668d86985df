/* The handlers that methods.def names, each in the file of its class or noun. */
#pragma once

#include "codec/amqp/methods.h"

method_handler on_connection_start_ok, on_connection_tune_ok, on_connection_open; /* handshake.c */
method_handler on_connection_close, on_connection_close_ok, on_connection_update_secret;
method_handler on_channel_open, on_channel_flow, on_channel_flow_ok, on_channel_close, on_channel_close_ok;
method_handler on_access_request; /* channel.c */
method_handler on_exchange_declare, on_exchange_delete, on_exchange_bind, on_exchange_unbind;
method_handler on_queue_declare, on_queue_bind, on_queue_purge, on_queue_delete, on_queue_unbind;
method_handler on_basic_qos, on_basic_consume, on_basic_cancel, on_basic_cancel_ok; /* basic_consume.c */
method_handler on_basic_get;                                                        /* basic_consume.c */
method_handler on_basic_publish;
method_handler on_basic_ack, on_basic_reject, on_basic_nack, on_basic_recover, on_basic_recover_async;
method_handler on_confirm_select;
method_handler on_tx_select, on_tx_commit, on_tx_rollback;
