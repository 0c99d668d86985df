/* gannetctl's verbs that ask for one thing with the words that they were given: users, virtual hosts,
 * permissions, limits (dataplane/users.h), policies (dataplane/policies.h), closing connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "component.h"
#include "policy.h"
#include "verb.h"

enum { PASSWORD_BYTES = 4096, HASH_BYTES = PASSWORD_BYTES + 256 };

int ask_plainly(const struct line *line)
{
    return show_answer(line, request_of(line, (const char *[]){NULL}));
}

int ask_of_vhost(const struct line *line)
{
    return show_answer(line, request_of(line, (const char *[]){line_vhost(line), NULL}));
}

/* The words, as if the line had been of them. */
static int ask_with(const struct line *line, const char *verb, char **words, int count)
{
    struct verb other = *line->verb;
    struct line with = *line;
    other.word = verb;
    with.verb = &other;
    with.argc = count;
    with.argv = words;
    return ask_plainly(&with);
}

int ask_of_policy(const struct line *line)
{
    const char *const *flag = line->flag;
    const struct policy_options options = {line_vhost(line), flag[FLAG_PRIORITY] ? flag[FLAG_PRIORITY] : "0",
                                           flag[FLAG_APPLY_TO] ? flag[FLAG_APPLY_TO] : "all"};
    char error[512];
    char *request = policy_request(line->argc + 1, line->argv - 1, &options, error, sizeof error);
    return request ? show_answer(line, request) : complain("%s", error);
}

int ask_of_parameter(const struct line *line)
{
    char error[1024];
    char *request = component_request(line->argv - 1, line_vhost(line), error, sizeof error);
    return request ? show_answer(line, request) : complain("%s", error);
}

/* RabbitMQ's flags for what Gannet's words say. */
int add_vhost(const struct line *line)
{
    const char *description = line->flag[FLAG_DESCRIPTION], *tags = line->flag[FLAG_TAGS];
    char *words[3] = {line->argv[0],
                      strdup(description      ? description
                             : line->argc > 1 ? line->argv[1]
                                              : ""),
                      strdup(tags             ? tags
                             : line->argc > 2 ? line->argv[2]
                                              : "")};
    int count = tags || line->argc > 2 ? 3 : description || line->argc > 1 ? 2 : 1;
    int status = ask_with(line, line->verb->word, words, count);
    free(words[1]);
    free(words[2]);
    return status;
}

/* Its description stays. */
int set_vhost_tags(const struct line *line)
{
    struct table vhosts;
    size_t row = 1, len = 0;
    char tags[1024] = "";
    if (!ask_broker(line, "list_vhosts", &vhosts))
        return 1;
    while (row < vhosts.rows && strcmp(table_cell(&vhosts, row, "name"), line->argv[0]) != 0)
        row++;
    bool there = row < vhosts.rows;
    char *description = strdup(there ? table_cell(&vhosts, row, "description") : "");
    table_free(&vhosts);
    for (int i = 1; i < line->argc && len < sizeof tags; i++)
        len += (size_t)snprintf(tags + len, sizeof tags - len, "%s%s", i > 1 ? "," : "", line->argv[i]);
    int status = !there ? complain("virtual host '%s' does not exist", line->argv[0])
                 : len >= sizeof tags
                     ? complain("these are too many tags")
                     : ask_with(line, "add_vhost", (char *[]){line->argv[0], description, tags}, 3);
    free(description);
    return status;
}

/* rabbitmqctl's word for what the broker calls otherwise. */
int close_all_connections(const struct line *line)
{
    const char *vhost = line->flag[FLAG_GLOBAL] ? "" : line_vhost(line);
    return show_answer(line, request_of(line, (const char *[]){vhost, NULL}));
}

int delete_queue(const struct line *line)
{
    char *words[4] = {strdup(line_vhost(line)), line->argv[0]};
    char if_empty[] = "if_empty", if_unused[] = "if_unused";
    int count = 2;
    if (line->flag[FLAG_IF_EMPTY])
        words[count++] = if_empty;
    if (line->flag[FLAG_IF_UNUSED])
        words[count++] = if_unused;
    int status = ask_with(line, line->verb->word, words, count);
    free(words[0]);
    return status;
}

int clear_user_limits(const struct line *line)
{
    bool all = strcmp(line->argv[1], "all") == 0;
    return ask_with(line, line->verb->word, line->argv, all ? 1 : 2);
}

/* ---- passwords -------------------------------------------------------------------------------------- */

/* A line of the standard input; what is typed isn't shown. False: there is none. */
static bool password_read(char *password, size_t size)
{
    struct termios before, silent;
    bool typed = tcgetattr(STDIN_FILENO, &before) == 0;
    if (typed) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fputs("Password: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool ok = fgets(password, (int)size, stdin);
    if (typed) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    password[ok ? strcspn(password, "\n") : 0] = '\0';
    return ok;
}

int ask_with_password(const struct line *line)
{
    const char *algorithm = line->flag[FLAG_ALGORITHM], *hashed = line->flag[FLAG_HASHED];
    char password[PASSWORD_BYTES], hash[HASH_BYTES], verb[64];
    if (line->argc == 1 && !password_read(password, sizeof password))
        return complain("there is no password: it is to be the second word, or a line of the standard input");
    char *given = line->argc == 2 ? line->argv[1] : password;
    if (snprintf(hash, sizeof hash, "%s:%s", algorithm ? algorithm : "rabbit_password_hashing_sha256",
                 given) >= (int)sizeof hash)
        return complain("that is no hash of a password: it is too long");
    snprintf(verb, sizeof verb, "%s%s", line->verb->word, hashed ? "_hash" : "");
    return ask_with(line, verb, (char *[]){line->argv[0], hashed ? hash : given}, 2);
}
