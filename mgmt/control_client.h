/* Asking a broker through its control socket (dataplane/control.h has the protocol). May block for seconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What one line of a request may have: the socket's own bound. */
enum { CONTROL_REQUEST_BYTES = 16384 };

/* Why there is no answer. */
enum control_trouble {
    CONTROL_REFUSED, /* the request is wrong */
    CONTROL_MISSING, /* what it is about isn't there */
    CONTROL_FAILED,  /* the broker can't, or doesn't answer */
};

/* A connection to a Unix socket of the broker's. Returns the descriptor, or -1 with errno. */
int control_connect(const char *path);
/* Sends the request, as below, and returns the socket that the answer will come from, to be closed; -1 with
 * one sentence in error. */
int control_client_open(const char *path, const char *request, char *error, size_t error_size);
/* Sends the request, a line without its end, to the socket at path. Returns what follows "ok", malloc'd: the
 * columns' names and rows; NULL with one sentence in error, and which kind it is in *trouble, if that isn't
 * NULL. */
char *control_client_ask(const char *path, const char *request, enum control_trouble *trouble, char *error,
                         size_t error_size);
/* The same of a list that may be long (dataplane/lists.h): what follows "ok" is written to a file as it
 * comes, up to the empty line with which it is complete. */
bool control_client_copy(const char *path, const char *request, FILE *to, enum control_trouble *trouble,
                         char *error, size_t error_size);
