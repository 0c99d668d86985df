/* The functions that answer the rows of api.def. */
#pragma once

#include "protocol.h"
#include "route.h"

/* health.c */
handler answer_alarms, answer_in_service, answer_virtual_hosts, answer_critical, answer_connection_limit,
    answer_port_listener, answer_protocol_listener, answer_certificate_expiration;
/* latency.c */
handler answer_latency;
/* metrics.c */
handler answer_metrics;
/* objects.c */
handler answer_objects, answer_detailed;
/* whoami.c */
handler answer_whoami, answer_auth, answer_attempts, forget_attempts, hash_password;
/* vhosts.c */
handler list_of_vhosts, get_vhost, put_vhost, delete_vhost, start_vhost;
/* What the broker calls the type that a body says: "undefined" is none. */
const char *vhost_queue_type(const char *said);
/* accounts.c */
handler list_of_users, list_of_users_without_permissions, get_user, put_user, delete_user, delete_users;
/* grants.c */
handler list_of_permissions, permissions_of_user, permissions_of_vhost, get_permission, put_permission,
    delete_permission;
handler list_of_topic_permissions, topic_permissions_of_user, topic_permissions_of_vhost,
    get_topic_permission, put_topic_permission, delete_topic_permission;
/* rules.c */
handler list_of_policies, policies_of_vhost, get_policy, put_policy, delete_policy;
handler list_of_operator_policies, operator_policies_of_vhost, get_operator_policy, put_operator_policy,
    delete_operator_policy;
/* nodes.c */
handler list_of_nodes, get_node, answer_overview, answer_nothing, get_memory, rebalance_queues;
/* parameters.c */
handler list_of_parameters, parameters_of_component, parameters_of_vhost, get_parameter, put_parameter,
    delete_parameter;
handler list_of_global_parameters, get_global_parameter, put_global_parameter, delete_global_parameter;
handler get_cluster_name, put_cluster_name;

/* inventory.c */
handler list_of_queues, queues_of_vhost, get_queue, bindings_of_queue;
handler list_of_exchanges, exchanges_of_vhost, get_exchange, bindings_from_exchange, bindings_to_exchange;
handler list_of_bindings, bindings_of_vhost, bindings_to_a_queue, bindings_to_an_exchange, get_queue_binding,
    get_exchange_binding;
handler list_of_connections, connections_of_vhost, connections_of_user, get_connection, delete_connection,
    delete_connections_of_user;
handler list_of_channels, channels_of_vhost, channels_of_connection, get_channel;
handler list_of_consumers, consumers_of_vhost;
/* declare.c */
handler put_queue, delete_queue, purge_queue, act_on_queue, put_exchange, delete_exchange, post_queue_binding,
    post_exchange_binding, delete_queue_binding, delete_exchange_binding;
/* definitions.c */
handler get_definitions, get_definitions_of_vhost;
/* import.c */
handler post_definitions, post_definitions_of_vhost;
/* messages.c */
handler publish_message, get_messages;
/* aliveness.c */
handler test_aliveness;
/* limits.c */
handler list_of_user_limits, limits_of_user, put_user_limit, delete_user_limit;
handler list_of_vhost_limits, limits_of_vhost, put_vhost_limit, delete_vhost_limit;

/* False: the {node} of the path isn't the broker; the reply says so. */
bool node_is_here(const struct call *call, struct reply *reply);
