/* The files of the page, which mgmtd serves as they stand (web/). */
#pragma once

#include <stddef.h>

struct site;

struct site_file {
    char *name; /* as in its URL, without the slash */
    const char *type;
    char etag[48];
    char *bytes;
    size_t len;
    unsigned status; /* of HTTP: 200, or 503 of the text that says why there is no page */
};

/* Reads all of a directory, but for what is in folders of it or of a type that no page has. Where the page
 * isn't there, "/" is a text that says why, which is logged, too. NULL: there is no memory. */
struct site *site_new(const char *directory);
/* The file of a URL's path, still encoded; "/" is the page itself. NULL: there is none. It is one of those
 * read at the start, whatever the path says. site may be NULL. From any thread. */
const struct site_file *site_find(const struct site *site, const char *path);
void site_free(struct site *site);
