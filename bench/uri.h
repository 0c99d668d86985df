/* scheme://user:password@host:port/vhost, every part optional, percent escapes allowed. */
#ifndef BENCH_URI_H
#define BENCH_URI_H

struct uri {
    char user[256], password[256], host[256], port[8], vhost[256];
};

/* Returns NULL, or what is wrong with the text in a few words. port: the one of the scheme, such as "5672".
 */
const char *uri_parse(struct uri *u, const char *text, const char *scheme, const char *port);

#endif
