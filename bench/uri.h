/* scheme://user:password@host:port/vhost, every part optional, percent escapes allowed; schemes:// is TLS. */
#ifndef BENCH_URI_H
#define BENCH_URI_H

#include <stdbool.h>

struct uri {
    char user[256], password[256], host[256], port[8], vhost[256];
    bool tls;
};

/* Returns NULL, or what is wrong with the text in a few words. port: the one of the scheme, such as "5672",
 * and tls_port with TLS. */
const char *uri_parse(struct uri *u, const char *text, const char *scheme, const char *port,
                      const char *tls_port);

#endif
