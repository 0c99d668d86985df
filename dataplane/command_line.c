#include "command_line.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "listener_kinds.h"
#include "network.h"

static const char usage[] = "gannetd, a durable message broker\n"
                            "\n"
                            "usage: gannetd [-c FILE] [-D DATADIR] [--set KEY=VALUE]...\n"
                            "\n"
                            "  -c, --config FILE    read the configuration from FILE\n"
                            "  -D, --data DATADIR   keep data in DATADIR (data_dir)\n"
                            "      --set KEY=VALUE  set one key; wins over the file\n"
                            "      --check-config   say whether the configuration is good, and end\n"
                            "      --help           this text and all keys\n"
                            "      --help-options   all keys, as OPTIONS.md\n"
                            "      --help-config    all keys, as a configuration file of comments\n"
                            "      --version        the version\n"
                            "\n"
                            "SIGTERM and SIGINT end it cleanly, SIGHUP reads the file again.\n"
                            "\n"
                            "Keys, with their defaults:\n"
                            "\n";

enum { SET = 256, CHECK_CONFIG, HELP, HELP_OPTIONS, HELP_CONFIG, VERSION };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"data", required_argument, NULL, 'D'},
    {"set", required_argument, NULL, SET},
    {"check-config", no_argument, NULL, CHECK_CONFIG},
    {"help", no_argument, NULL, HELP},
    {"help-options", no_argument, NULL, HELP_OPTIONS},
    {"help-config", no_argument, NULL, HELP_CONFIG},
    {"version", no_argument, NULL, VERSION},
    {0},
};

static void add_set(struct command_line *line, char *pair)
{
    line->set = realloc(line->set, (line->set_count + 1) * sizeof *line->set);
    CHECK(line->set);
    line->set[line->set_count++] = pair;
}

static int print(void (*what)(FILE *out))
{
    what(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

static void print_help(FILE *out)
{
    fputs(usage, out);
    config_help(out);
}

static void print_version(FILE *out)
{
    fputs("gannetd " GANNET_VERSION "\n", out);
}

/* Returns as command_line_read. */
static int take(struct command_line *line, int option)
{
    switch (option) {
    case 'c':
        line->file = optarg;
        return -1;
    case 'D':
        line->data_dir = optarg;
        return -1;
    case SET:
        add_set(line, optarg);
        return -1;
    case CHECK_CONFIG:
        line->check = true;
        return -1;
    case HELP:
        return print(print_help);
    case HELP_OPTIONS:
        return print(config_reference);
    case HELP_CONFIG:
        return print(config_sample);
    case VERSION:
        return print(print_version);
    default:
        fputs("gannetd --help shows what there is\n", stderr);
        return 2;
    }
}

int command_line_read(struct command_line *line, int argc, char **argv)
{
    int option, status = -1;
    *line = (struct command_line){0};
    while (status < 0 && (option = getopt_long(argc, argv, "c:D:", long_options, NULL)) != -1)
        status = take(line, option);
    if (status < 0 && optind < argc) {
        fprintf(stderr, "gannetd: what is '%s'? gannetd --help shows what there is\n", argv[optind]);
        status = 2;
    }
    return status;
}

static bool watermarks_check(const struct config *config, char *error, size_t error_size)
{
    if (config->memory_low_watermark < config->memory_high_watermark)
        return true;
    snprintf(error, error_size,
             "memory.low_watermark is %llu and memory.high_watermark %llu: the first must be the lower one",
             (unsigned long long)config->memory_low_watermark,
             (unsigned long long)config->memory_high_watermark);
    return false;
}

bool command_line_config(const struct command_line *line, struct config *config, uint64_t memory)
{
    char error[512];
    config_init(config, memory);
    bool good = !line->file || config_read(config, line->file, stderr) == 0;
    if (line->data_dir && !config_set(config, "data_dir", line->data_dir, error, sizeof error)) {
        fprintf(stderr, "-D: %s\n", error);
        good = false;
    }
    for (unsigned i = 0; i < line->set_count; i++)
        if (!config_set_pair(config, line->set[i], error, sizeof error)) {
            fprintf(stderr, "--set: %s\n", error);
            good = false;
        }
    if (good &&
        (!network_check(config, error, sizeof error) || !watermarks_check(config, error, sizeof error) ||
         !listener_ports_check(config, error, sizeof error))) {
        fprintf(stderr, "%s\n", error);
        good = false;
    }
    return good;
}
