#include "patience.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static void give_up(int signal)
{
    static const char text[] = "gannetctl: that took longer than --timeout allows, and may still be done\n";
    (void)signal;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(written < 0 ? 2 : 1);
}

bool patience_begin(const char *seconds)
{
    char *end = NULL;
    errno = 0;
    long n = seconds ? strtol(seconds, &end, 10) : 0;
    if (seconds && (!*seconds || *end || errno || n < 0 || n > INT_MAX))
        return false;
    const struct itimerval limit = {.it_value.tv_sec = n};
    signal(SIGALRM, give_up);
    setitimer(ITIMER_REAL, &limit, NULL);
    return true;
}

long patience_take(void)
{
    struct itimerval left;
    setitimer(ITIMER_REAL, &(struct itimerval){0}, &left);
    long ms = left.it_value.tv_sec * 1000 + left.it_value.tv_usec / 1000;
    return ms ? ms : -1;
}
