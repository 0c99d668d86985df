#include "listeners.h"

#include <stdlib.h>
#include <string.h>

#include "protocol.h"

static void add(json_t *list, const struct call *call, const char *protocol, const char *address,
                json_int_t port)
{
    json_array_append_new(list, json_pack("{ss,ss,ss,sI}", "node", call->mgmtd->node, "protocol",
                                          protocol_name(protocol), "ip_address", address, "port", port));
}

json_t *listeners_json(const struct call *call, struct reply *reply)
{
    struct table table;
    if (!ask(call, reply, &table, "listeners", NULL))
        return NULL;
    json_t *list = json_array();
    for (size_t row = 1; row < table.rows; row++)
        add(list, call, table_cell(&table, row, "protocol"), table_cell(&table, row, "address"),
            strtoll(table_cell(&table, row, "port"), NULL, 10));
    table_free(&table);
    const struct served *served[] = {&call->mgmtd->api, &call->mgmtd->metrics};
    static const char *const protocols[2][2] = {{"http", "https"}, {"http/prometheus", "https/prometheus"}};
    for (unsigned i = 0; i < 2; i++)
        if (*served[i]->address)
            add(list, call, protocols[i][served[i]->tls], served[i]->address, served[i]->port);
    return list;
}
