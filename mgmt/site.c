#include "site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 128,
    FILE_BYTES_MAX = 4 * 1024 * 1024,
};

/* What web/assemble leaves behind when it couldn't make the page: one line that says why. */
#define WHY_NOT "not-built.txt"

struct site {
    struct site_file file[FILES_MAX];
    unsigned count;
    struct site_file missing; /* is "/" where there is no index.html */
};

static const char *type_of(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
        {".txt", "text/plain; charset=utf-8"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && *name != '.' && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i].end) == 0)
            return types[i].type;
    return NULL;
}

/* False: it can't be read whole; errno says why. */
static bool read_all(int fd, struct site_file *file, size_t len)
{
    file->bytes = malloc(len + 1);
    while (file->bytes && file->len < len) {
        ssize_t got = read(fd, file->bytes + file->len, len - file->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        file->len += (size_t)got;
    }
    if (file->bytes)
        file->bytes[file->len] = '\0';
    return file->bytes && file->len == len;
}

/* False: it is no file that is served; one that can't be read is named in the log. */
static bool read_file(struct site_file *file, int directory, const char *name)
{
    struct stat about;
    *file = (struct site_file){.type = type_of(name), .status = 200};
    int fd = file->type ? openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    bool is_file = fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    bool ok = is_file && about.st_size <= FILE_BYTES_MAX && (file->name = strdup(name)) &&
              read_all(fd, file, (size_t)about.st_size);
    if (ok)
        snprintf(file->etag, sizeof file->etag, "\"%zx-%llx\"", file->len,
                 (unsigned long long)about.st_mtim.tv_sec * 1000000000 +
                     (unsigned long long)about.st_mtim.tv_nsec);
    if (!ok && file->type && (is_file || fd < 0))
        fprintf(stderr, "gannet-mgmtd: %s, of the page, can't be read: %s\n", name,
                is_file && about.st_size > FILE_BYTES_MAX ? "it is too long" : strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!ok) {
        free(file->name);
        free(file->bytes);
    }
    return ok;
}

/* Returns NULL, or why there is nothing to read. */
static const char *read_directory(struct site *site, const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return strerror(errno);
    for (const struct dirent *entry; site->count < FILES_MAX && (entry = readdir(directory));)
        if (read_file(&site->file[site->count], dirfd(directory), entry->d_name))
            site->count++;
    closedir(directory);
    return NULL;
}

static const struct site_file *named(const struct site *site, const char *name)
{
    for (unsigned i = 0; i < site->count; i++)
        if (strcmp(site->file[i].name, name) == 0)
            return &site->file[i];
    return NULL;
}

/* False: there is no memory. */
static bool say_why_not(struct site *site, const char *directory, const char *unread)
{
    const struct site_file *why = named(site, WHY_NOT);
    struct site_file *missing = &site->missing;
    int len = unread ? asprintf(&missing->bytes, "The page isn't here: %s: %s\n", directory, unread)
              : why  ? asprintf(&missing->bytes, "The page wasn't built: %.*s\n",
                                (int)strcspn(why->bytes, "\n"), why->bytes)
                     : asprintf(&missing->bytes, "The page isn't here: %s has no index.html\n", directory);
    if (len < 0) {
        missing->bytes = NULL;
        return false;
    }
    *missing = (struct site_file){.type = "text/plain; charset=utf-8",
                                  .etag = "\"none\"",
                                  .bytes = missing->bytes,
                                  .len = (size_t)len,
                                  .status = 503};
    fprintf(stderr, "gannet-mgmtd: %s", missing->bytes);
    return true;
}

struct site *site_new(const char *directory)
{
    struct site *site = calloc(1, sizeof *site);
    const char *unread = site ? read_directory(site, directory) : NULL;
    if (!site || named(site, "index.html") || say_why_not(site, directory, unread))
        return site;
    site_free(site);
    return NULL;
}

const struct site_file *site_find(const struct site *site, const char *path)
{
    if (!site || *path != '/')
        return NULL;
    if (path[1])
        return named(site, path + 1);
    const struct site_file *page = named(site, "index.html");
    return page ? page : &site->missing;
}

void site_free(struct site *site)
{
    for (unsigned i = 0; site && i < site->count; i++) {
        free(site->file[i].name);
        free(site->file[i].bytes);
    }
    if (site)
        free(site->missing.bytes);
    free(site);
}
