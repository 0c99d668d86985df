/* gannetctl top: the terminal, its keys, and when to look again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "patience.h"
#include "top.h"
#include "verb.h"

enum {
    INTERVAL_MS = 1000,
    INTERVAL_MAX_MS = 60000,
    SHARE = 10 /* of the time may go into lists, one in so many */
};

struct top {
    const struct line *line;
    struct top_counts counts;
    struct top_list queues, connections;
    struct top_screen screen;
    long interval_ms;
    char trouble[1024];
};

static volatile sig_atomic_t resized, ended;
static struct termios before;

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- looking ----------------------------------------------------------------------------------------- */

/* A list that takes long is asked for less often. */
static bool is_due(const struct top_list *list)
{
    uint64_t since_ns = (uint64_t)now_ms() * 1000000 - list->read_ns;
    return !list->read_ns || since_ns >= SHARE * list->took_ns;
}

static void look(struct top *top)
{
    top->trouble[0] = '\0';
    top_counts_read(&top->counts, top->line->flag[FLAG_DATA]);
    if (is_due(&top->queues))
        top_list_read(&top->queues, top->line, top->trouble, sizeof top->trouble);
    if (is_due(&top->connections))
        top_list_read(&top->connections, top->line, top->trouble, sizeof top->trouble);
}

/* All of the screen by one write: nothing of it is seen half done. */
static bool show(struct top *top)
{
    char *text = NULL;
    size_t size = 0;
    struct top_list *const lists[2] = {&top->queues, &top->connections};
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return false;
    top_screen_put(out, &top->screen, top->line->flag[FLAG_DATA], &top->counts, lists, top->trouble);
    bool ok = fclose(out) == 0 && fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
    free(text);
    return ok;
}

/* ---- a pipe ------------------------------------------------------------------------------------------ */

/* So many times; the first look is for the rates of the second. */
static int run_batch(struct top *top, long times)
{
    look(top);
    for (long i = 0; i < times; i++) {
        nanosleep(&(struct timespec){top->interval_ms / 1000, top->interval_ms % 1000 * 1000000}, NULL);
        look(top);
        if (*top->counts.trouble)
            return complain("%s", top->counts.trouble);
        if (*top->trouble)
            return complain("%s", top->trouble);
        if (i)
            putchar('\n');
        if (!show(top))
            return 1;
    }
    return 0;
}

/* ---- the terminal ------------------------------------------------------------------------------------ */

static void on_signal(int signal)
{
    if (signal == SIGWINCH)
        resized = 1;
    else
        ended = 1;
}

static void leave(void)
{
    static const char text[] = "\x1b[?25h\x1b[?1049l";
    ssize_t written = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)written;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static bool enter(void)
{
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios raw = before;
    struct sigaction action = {.sa_handler = on_signal};
    for (const int *s = (const int[]){SIGINT, SIGTERM, SIGHUP, SIGWINCH, 0}; *s; s++)
        sigaction(*s, &action, NULL);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would get a screen that isn't its own */
    atexit(leave);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs("\x1b[?1049h\x1b[?25l\x1b[2J", stdout);
    return true;
}

static void measure(struct top_screen *screen)
{
    struct winsize size;
    resized = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col || !size.ws_row)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    screen->width = size.ws_col;
    screen->height = size.ws_row;
}

static void take_key(struct top *top, char key)
{
    struct top_list *list = top->screen.chosen ? &top->connections : &top->queues;
    if (key == 'q')
        ended = 1;
    else if (key == '\t')
        top->screen.chosen = !top->screen.chosen;
    else if (key == '+' && top->interval_ms < INTERVAL_MAX_MS)
        top->interval_ms *= 2;
    else if (key == '-' && top->interval_ms > INTERVAL_MS)
        top->interval_ms /= 2;
    else
        top_list_choose(list, (const char[]){key, '\0'});
}

/* Waits for the time, or keys before it. */
static void await(struct top *top, long until)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    for (long left; !ended && (left = until - now_ms()) > 0;) {
        char key[64];
        int n = poll(&keys, 1, (int)left);
        ssize_t got = n > 0 ? read(STDIN_FILENO, key, sizeof key) : 0;
        if (n > 0 && (got == 0 || (got < 0 && errno != EINTR)))
            ended = 1; /* the terminal is gone */
        for (ssize_t i = 0; i < got; i++)
            take_key(top, key[i]);
        if (resized)
            measure(&top->screen);
        if ((got > 0 || n < 0) && !ended)
            show(top);
    }
}

static int run_terminal(struct top *top)
{
    if (!isatty(STDOUT_FILENO) || !enter())
        return complain("this is no terminal: --once or --batch N write to a file or a pipe");
    top->screen.terminal = true;
    measure(&top->screen);
    while (!ended) {
        long began = now_ms();
        look(top);
        measure(&top->screen);
        if (!show(top))
            return 1;
        await(top, began + top->interval_ms);
    }
    return 0;
}

/* ---- the command line ---------------------------------------------------------------------------------- */

/* A whole number in a flag from `least` on; -1: it is none. */
static long number_in(const char *text, long least, long most)
{
    char *end;
    long n = strtol(text, &end, 10);
    return *text && !*end && n >= least && n <= most ? n : -1;
}

static int run(struct top *top)
{
    const char *const *flag = top->line->flag;
    long times = flag[FLAG_BATCH] ? number_in(flag[FLAG_BATCH], 1, 1000000000) : flag[FLAG_ONCE] ? 1 : 0;
    if (flag[FLAG_INTERVAL])
        top->interval_ms = number_in(flag[FLAG_INTERVAL], 1, INTERVAL_MAX_MS / 1000) * 1000;
    if (times < 0)
        return complain("--batch needs how many times, not '%s'", flag[FLAG_BATCH]);
    if (top->interval_ms < 0)
        return complain("--interval needs whole seconds from 1 to %d, not '%s'", INTERVAL_MAX_MS / 1000,
                        flag[FLAG_INTERVAL]);
    bool of_queues = flag[FLAG_SORT] && top_list_choose(&top->queues, flag[FLAG_SORT]);
    bool of_connections = flag[FLAG_SORT] && top_list_choose(&top->connections, flag[FLAG_SORT]);
    if (flag[FLAG_SORT] && !of_queues && !of_connections)
        return complain("--sort needs the title of a column, such as messages, publish or in: not '%s'",
                        flag[FLAG_SORT]);
    top->queues.rising = top->connections.rising = false;
    return times ? run_batch(top, times) : run_terminal(top);
}

int top(const struct line *line)
{
    struct top top = {.line = line, .interval_ms = INTERVAL_MS};
    top_counts_init(&top.counts);
    top_lists_init(&top.queues, &top.connections);
    int status = run(&top);
    top_list_free(&top.queues);
    top_list_free(&top.connections);
    return status;
}
