/* gannetctl doctor: deploy/doctor, which is installed beside us, looks; this says what at. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verb.h"

/* Where meson installs it, from where gannetctl is, and where it is in the tree, from a folder of a build. */
static const char *const places[] = {"../libexec/gannet/doctor", "../../deploy/doctor"};

/* False: it is nowhere. */
static bool find_script(const char *own, char *path, size_t size)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", own);
    const char *at = dirname(folder);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(path, size, "%s/%s", at, places[i]) < (int)size && access(path, X_OK) == 0)
            return true;
    return false;
}

int doctor(const struct line *line)
{
    char own[PATH_MAX], script[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n < 0)
        return complain("/proc/self/exe: %s", strerror(errno));
    own[n] = '\0';
    if (!find_script(own, script, sizeof script))
        return complain("what looks is not installed: %s from where %s is", places[0], own);
    const char *words[8] = {script, "--data", line->flag[FLAG_DATA], "--socket", line->socket};
    if (line->flag[FLAG_CONFIG]) {
        words[5] = "--config";
        words[6] = line->flag[FLAG_CONFIG];
    }
    setenv("GANNETCTL", own, 1);
    execv(script, (char *const *)words);
    return complain("%s: %s", script, strerror(errno));
}
