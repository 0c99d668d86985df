/* gannetctl: asks a running broker through its control socket (dataplane/control.h has the protocol) and
 * shows the answer. */
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_client.h"
#include "lists.h"
#include "policy.h"
#include "table.h"
#include "users.h"

static const char usage[] =
    "gannetctl, for a running gannetd\n"
    "\n"
    "usage: gannetctl [-D DATADIR | --socket PATH] [--json] status\n"
    "       gannetctl ... queues|exchanges|bindings|connections|channels|consumers [-p VHOST]\n"
    "       gannetctl ... list_queues|list_exchanges|list_bindings|list_consumers [-p VHOST] [COLUMN ...]\n"
    "       gannetctl ... list_connections|list_channels [COLUMN ...]\n"
    "       gannetctl ... set_policy [-p VHOST] [--priority N] [--apply-to WHAT] NAME PATTERN DEFINITION\n"
    "       gannetctl ... clear_policy [-p VHOST] NAME\n"
    "       gannetctl ... list_policies [-p VHOST]\n"
    "       and set_operator_policy, clear_operator_policy, list_operator_policies\n"
    "       gannetctl ... add_user|change_password|authenticate_user USER [PASSWORD]\n"
    "       gannetctl ... delete_user|clear_password USER, set_user_tags USER [TAG ...], list_users\n"
    "       gannetctl ... add_vhost VHOST [DESCRIPTION [TAGS]], delete_vhost VHOST, list_vhosts\n"
    "       gannetctl ... set_permissions [-p VHOST] USER CONFIGURE WRITE READ\n"
    "       gannetctl ... clear_permissions [-p VHOST] USER, list_permissions [-p VHOST]\n"
    "       gannetctl ... set_topic_permissions [-p VHOST] USER EXCHANGE WRITE READ\n"
    "       gannetctl ... clear_topic_permissions [-p VHOST] USER [EXCHANGE], list_topic_permissions\n"
    "       gannetctl ... set_user_limits USER LIMITS, clear_user_limits USER LIMIT|all\n"
    "       gannetctl ... list_user_limits [--user USER | --global]\n"
    "       gannetctl ... set_vhost_limits [-p VHOST] LIMITS, clear_vhost_limits [-p VHOST]\n"
    "       gannetctl ... list_vhost_limits [-p VHOST | --global]\n"
    "       gannetctl ... close_connection NAME REASON, close_all_user_connections USER REASON\n"
    "       gannetctl ... list_user_permissions|list_user_topic_permissions USER\n"
    "\n"
    "  -D, --data DATADIR  the broker's data directory (/var/lib/gannet)\n"
    "      --socket PATH   its control socket, instead of DATADIR/control.sock\n"
    "      --json          the answer as a JSON array of objects\n"
    "      --formatter F   table, json or csv (table)\n"
    "  -q, --quiet         of a list: no title\n"
    "  -s, --silent        nor the columns' names, which --no-table-headers leaves out, too\n"
    "  -p, --vhost VHOST   the virtual host of the list, policy, permission or limits (/)\n"
    "      --priority N    of policies that fit, the one with the highest holds (0)\n"
    "      --apply-to WHAT all, queues, classic_queues, quorum_queues, streams or exchanges (all)\n"
    "      --pre-hashed-password  add_user and change_password get a hash as RabbitMQ exports it, of\n"
    "      --hashing-algorithm NAME  rabbit_password_hashing_sha256 (as it is without) or _sha512\n"
    "\n"
    "A password that isn't given is read from the standard input. CONFIGURE, WRITE and READ are regular\n"
    "expressions; one that is empty fits nothing. LIMITS are a JSON object, such as {\"max-connections\": "
    "10}:\n"
    "max-connections, max-channels (of users), max-queues (of virtual hosts), max-publish-rate and\n"
    "max-publish-bytes-rate (a second); a negative one is no limit.\n"
    "A PATTERN is a regular expression, found anywhere in a name; a DEFINITION is a JSON object, such as\n"
    "{\"max-length\": 1000, \"overflow\": \"reject-publish\"}.\n";

struct request {
    const char *data_dir, *socket, *what;
    int argc; /* the words, */
    char **argv;
    struct list_options list;
    struct policy_options policy;
    struct users_options users;
    char *made; /* what, if it was put together */
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("gannetctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- the table ------------------------------------------------------------------------------------- */

static void print_json(const struct table *table)
{
    json_t *rows = table_json(table);
    json_dumpf(rows, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(rows);
}

/* ---- the command line ------------------------------------------------------------------------------- */

enum {
    SOCKET = 256,
    JSON,
    HELP,
    VERSION,
    PRIORITY,
    APPLY_TO,
    USER,
    GLOBAL,
    HASHED,
    ALGORITHM,
    FORMATTER,
    NO_HEADERS
};

static void take_words(struct request *request, int argc, char **argv)
{
    char error[512];
    request->argc = argc;
    request->argv = argv;
    if (argc && lists_command(argv[0])) {
        request->what = request->made = lists_request(argc, argv, &request->list, error, sizeof error);
        if (!request->made)
            fail("%s", error);
        return;
    }
    if (argc && policy_command(argv[0])) {
        request->what = request->made = policy_request(argc, argv, &request->policy, error, sizeof error);
        if (!request->made)
            fail("%s", error);
        return;
    }
    if (argc && users_command(argv[0])) {
        request->users.vhost = request->policy.vhost;
        request->what = request->made = users_request(argc, argv, &request->users, error, sizeof error);
        if (!request->made)
            fail("%s", error);
        return;
    }
    if (argc != 1) {
        fputs(usage, stderr);
        exit(2);
    }
    request->what = argv[0];
}

/* Where the word behind an option goes; NULL: none stands behind it. */
static const char **word_of(struct request *request, int option)
{
    switch (option) {
    case 'p':
        return &request->policy.vhost;
    case PRIORITY:
        return &request->policy.priority;
    case APPLY_TO:
        return &request->policy.apply_to;
    case USER:
        return &request->users.user;
    case ALGORITHM:
        return &request->users.algorithm;
    case 'D':
        return &request->data_dir;
    case SOCKET:
        return &request->socket;
    case FORMATTER:
        return &request->list.formatter;
    default:
        return NULL;
    }
}

static void take_option(struct request *request, int option)
{
    const char **word = word_of(request, option);
    if (word) {
        *word = optarg;
        request->list.vhost = option == 'p' ? optarg : request->list.vhost;
        return;
    }
    switch (option) {
    case GLOBAL:
        request->users.global = true;
        break;
    case HASHED:
        request->users.hashed = true;
        break;
    case JSON:
        request->list.formatter = "json";
        break;
    case 'q':
    case 's':
        request->list.quiet = true;
        request->list.no_headers |= option == 's';
        break;
    case NO_HEADERS:
        request->list.no_headers = true;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    case VERSION:
        puts("gannetctl " GANNET_VERSION);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static void read_line(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"data", required_argument, NULL, 'D'},
        {"socket", required_argument, NULL, SOCKET},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {"vhost", required_argument, NULL, 'p'},
        {"priority", required_argument, NULL, PRIORITY},
        {"apply-to", required_argument, NULL, APPLY_TO},
        {"user", required_argument, NULL, USER},
        {"global", no_argument, NULL, GLOBAL},
        {"pre-hashed-password", no_argument, NULL, HASHED},
        {"hashing-algorithm", required_argument, NULL, ALGORITHM},
        {"formatter", required_argument, NULL, FORMATTER},
        {"quiet", no_argument, NULL, 'q'},
        {"silent", no_argument, NULL, 's'},
        {"no-table-headers", no_argument, NULL, NO_HEADERS},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "D:p:qs", options, NULL)) != -1;)
        take_option(request, option);
    take_words(request, argc - optind, argv + optind);
}

static void print_answer(const struct request *request, struct table *table)
{
    char error[512];
    if (!lists_command(request->argv[0])) {
        if (strcmp(request->list.formatter, "json") == 0)
            print_json(table);
        else
            table_print(table);
    } else if (!lists_print(request->argc, request->argv, &request->list, table, error, sizeof error)) {
        fail("%s", error);
    }
}

int main(int argc, char **argv)
{
    struct request request = {.data_dir = "/var/lib/gannet",
                              .policy = {"/", "0", "all"},
                              .list = {.formatter = "table"},
                              .users.algorithm = "rabbit_password_hashing_sha256"};
    char path[4400];
    read_line(&request, argc, argv);
    if (request.socket)
        snprintf(path, sizeof path, "%s", request.socket);
    else
        snprintf(path, sizeof path, "%s/control.sock", request.data_dir);
    char error[1024], *answer = control_client_ask(path, request.what, NULL, error, sizeof error);
    if (!answer)
        fail("%s", error);
    struct table table = table_parse(answer);
    print_answer(&request, &table);
    table_free(&table);
    free(request.made);
    return fflush(stdout) == 0 ? 0 : 1;
}
