#include "users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_BYTES = 4096 };

static const struct command {
    const char *word;
    int least, most; /* words behind it */
    enum { PLAIN, OF_VHOST, WITH_PASSWORD, OF_ONE_USER, OF_ONE_VHOST } kind;
    const char *usage;
} commands[] = {
    {"add_user", 1, 2, WITH_PASSWORD, "USER [PASSWORD | HASH --pre-hashed-password]"},
    {"delete_user", 1, 1, PLAIN, "USER"},
    {"change_password", 1, 2, WITH_PASSWORD, "USER [PASSWORD | HASH --pre-hashed-password]"},
    {"clear_password", 1, 1, PLAIN, "USER"},
    {"authenticate_user", 1, 2, WITH_PASSWORD, "USER [PASSWORD]"},
    {"set_user_tags", 1, 16, PLAIN, "USER [TAG ...]"},
    {"list_users", 0, 0, PLAIN, ""},
    {"add_vhost", 1, 3, PLAIN, "VHOST [DESCRIPTION [TAGS]]"},
    {"delete_vhost", 1, 1, PLAIN, "VHOST"},
    {"list_vhosts", 0, 0, PLAIN, ""},
    {"set_permissions", 4, 4, OF_VHOST, "[-p VHOST] USER CONFIGURE WRITE READ"},
    {"clear_permissions", 1, 1, OF_VHOST, "[-p VHOST] USER"},
    {"list_permissions", 0, 0, OF_VHOST, "[-p VHOST]"},
    {"list_user_permissions", 1, 1, PLAIN, "USER"},
    {"set_topic_permissions", 4, 4, OF_VHOST, "[-p VHOST] USER EXCHANGE WRITE READ"},
    {"clear_topic_permissions", 1, 2, OF_VHOST, "[-p VHOST] USER [EXCHANGE]"},
    {"list_topic_permissions", 0, 0, OF_VHOST, "[-p VHOST]"},
    {"list_user_topic_permissions", 1, 1, PLAIN, "USER"},
    {"close_connection", 2, 2, PLAIN, "NAME REASON"},
    {"close_all_user_connections", 2, 2, PLAIN, "USER REASON"},
    {"set_user_limits", 2, 2, PLAIN, "USER LIMITS"},
    {"clear_user_limits", 2, 2, PLAIN, "USER LIMIT|all"},
    {"list_user_limits", 0, 0, OF_ONE_USER, "[--user USER | --global]"},
    {"set_vhost_limits", 1, 1, OF_VHOST, "[-p VHOST] LIMITS"},
    {"clear_vhost_limits", 0, 0, OF_VHOST, "[-p VHOST]"},
    {"list_vhost_limits", 0, 0, OF_ONE_VHOST, "[-p VHOST | --global]"},
};

static const struct command *find(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].word) == 0)
            return &commands[i];
    return NULL;
}

bool users_command(const char *word)
{
    return find(word);
}

/* Tabs and ends of lines are the protocol's. */
static bool put_word(FILE *out, const char *word)
{
    fputc('\t', out);
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return fputs(word, out) >= 0;
}

static bool put_hash(FILE *out, const char *algorithm, const char *hash)
{
    char word[512];
    int n = snprintf(word, sizeof word, "%s:%s", algorithm, hash);
    return n < (int)sizeof word && put_word(out, word);
}

/* A line of stdin; what is typed isn't shown. */
static bool read_password(char password[PASSWORD_BYTES])
{
    struct termios before, silent;
    bool typed = tcgetattr(STDIN_FILENO, &before) == 0;
    if (typed) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fputs("Password: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool ok = fgets(password, PASSWORD_BYTES, stdin);
    if (typed) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    password[ok ? strcspn(password, "\n") : 0] = '\0';
    return ok;
}

static bool write_request(FILE *out, const struct command *command, int argc, char **argv,
                          const struct users_options *options)
{
    char password[PASSWORD_BYTES];
    bool hashed = options->hashed && command->kind == WITH_PASSWORD;
    bool ok = fprintf(out, "%s%s", command->word, hashed ? "_hash" : "") >= 0;
    if (command->kind == OF_VHOST || (command->kind == OF_ONE_VHOST && !options->global))
        ok &= put_word(out, options->vhost);
    if (command->kind == OF_ONE_USER && options->user)
        ok &= put_word(out, options->user);
    for (int i = 1; i < argc; i++)
        if (strcmp(command->word, "clear_user_limits") != 0 || i == 1 || strcmp(argv[i], "all") != 0)
            ok &= i == 2 && hashed ? put_hash(out, options->algorithm, argv[i]) : put_word(out, argv[i]);
    if (command->kind == WITH_PASSWORD && argc == 2)
        ok &= read_password(password) &&
              (hashed ? put_hash(out, options->algorithm, password) : put_word(out, password));
    return ok;
}

char *users_request(int argc, char **argv, const struct users_options *options, char *error,
                    size_t error_size)
{
    const struct command *command = find(argv[0]);
    char *line = NULL;
    size_t size = 0;
    if (argc - 1 < command->least || argc - 1 > command->most) {
        snprintf(error, error_size, "usage: gannetctl %s %s", command->word, command->usage);
        return NULL;
    }
    if (options->hashed && (command->kind != WITH_PASSWORD || strcmp(argv[0], "authenticate_user") == 0)) {
        snprintf(error, error_size, "--pre-hashed-password is for add_user and change_password");
        return NULL;
    }
    FILE *out = open_memstream(&line, &size);
    bool ok = out && write_request(out, command, argc, argv, options);
    if (out && fclose(out) == 0 && ok)
        return line;
    snprintf(error, error_size, "names, patterns and passwords may not hold control characters");
    free(line);
    return NULL;
}
