/* gannetctl's verbs for definitions: gannet-mgmtd, which knows them all, is asked over its own socket. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verb.h"

enum { FILE_MAX = 1 << 30 };

/* A call of the HTTP API. */
struct call {
    const char *path;
    char *body; /* to be sent; NULL: GET */
    size_t body_bytes;
    char *answer;
    size_t answer_bytes;
    long status;
};

/* ---- HTTP -------------------------------------------------------------------------------------------- */

static int curl_setup(CURL *curl, const struct call *call, const char *socket, FILE *out,
                      struct curl_slist *headers)
{
    char url[2048];
    snprintf(url, sizeof url, "http://gannet%s", call->path);
    int failed = curl_easy_setopt(curl, CURLOPT_URL, url);
    failed |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    failed |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
    failed |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    failed |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (call->body)
        failed |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes) |
                  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    return failed;
}

/* False: there is nobody, and that has been said. */
static bool perform(struct call *call, const char *socket, const char *shown)
{
    char wrong[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    FILE *out = open_memstream(&call->answer, &call->answer_bytes);
    CURLcode code = CURLE_FAILED_INIT;
    if (curl && headers && out && curl_setup(curl, call, socket, out, headers) == 0) {
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, wrong);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &call->status);
    }
    if (out)
        fclose(out);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code == CURLE_COULDNT_CONNECT)
        complain("gannet-mgmtd, which knows definitions, does not answer at %s: does it run?", shown);
    else if (code != CURLE_OK)
        complain("gannet-mgmtd: %s", *wrong ? wrong : curl_easy_strerror(code));
    return code == CURLE_OK;
}

/* Names of sockets hold 107 bytes, and paths more: the directory is named by a descriptor. */
static bool ask_mgmtd(const struct line *line, struct call *call)
{
    char shown[4400], socket[64];
    snprintf(shown, sizeof shown, "%s/mgmtd.sock", line->flag[FLAG_DATA]);
    int dir = open(line->flag[FLAG_DATA], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        complain("%s: %s", line->flag[FLAG_DATA], strerror(errno));
        return false;
    }
    snprintf(socket, sizeof socket, "/proc/self/fd/%d/mgmtd.sock", dir);
    bool ok = perform(call, socket, shown);
    close(dir);
    if (!ok || (call->status >= 200 && call->status < 300))
        return ok;
    json_t *answer = json_loads(call->answer, 0, NULL);
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    complain("%s", reason ? reason : "gannet-mgmtd gave no reason");
    json_decref(answer);
    return false;
}

/* ---- files ------------------------------------------------------------------------------------------- */

static int write_file(const char *name, const struct call *call)
{
    bool to_stdout = strcmp(name, "-") == 0;
    int fd = to_stdout ? STDOUT_FILENO : open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : to_stdout ? stdout : fdopen(fd, "w");
    bool ok = out && fwrite(call->answer, 1, call->answer_bytes, out) == call->answer_bytes &&
              fputc('\n', out) != EOF;
    if (out && (to_stdout ? fflush(out) : fclose(out)) != 0)
        ok = false;
    return ok ? 0 : complain("%s: %s", name, strerror(errno));
}

static bool read_file(const char *name, struct call *call)
{
    bool from_stdin = strcmp(name, "-") == 0;
    FILE *in = from_stdin ? stdin : fopen(name, "re"), *to = open_memstream(&call->body, &call->body_bytes);
    char part[65536];
    size_t n, total = 0;
    while (in && to && (n = fread(part, 1, sizeof part, in)) > 0 && total < FILE_MAX)
        total += fwrite(part, 1, n, to);
    bool ok = in && to && !ferror(in) && total < FILE_MAX;
    if (!ok)
        complain("%s: %s", name, total < FILE_MAX ? strerror(errno) : "that is too large");
    if (in && !from_stdin)
        fclose(in);
    if (to)
        fclose(to);
    return ok;
}

/* Definitions of all, or of the virtual host that is given; made as the user who is named, or else as the
 * first administrator. False: that has been said. */
static bool path_of(const struct line *line, char *path, size_t size)
{
    const char *vhost = line->flag[FLAG_VHOST], *user = line->flag[FLAG_USER];
    char *in = vhost ? curl_easy_escape(NULL, vhost, 0) : NULL,
         *as = user ? curl_easy_escape(NULL, user, 0) : NULL;
    int len = snprintf(path, size, "/api/definitions%s%s%s%s", in ? "/" : "", in ? in : "", as ? "?as=" : "",
                       as ? as : "");
    bool ok = (in || !vhost) && (as || !user) && len < (int)size;
    curl_free(in);
    curl_free(as);
    if (!ok)
        complain("the names are too long");
    return ok;
}

int export_definitions(const struct line *line)
{
    char path[2000];
    struct call call = {.path = path};
    if (!path_of(line, path, sizeof path))
        return 1;
    int status = ask_mgmtd(line, &call) ? write_file(line->argc ? line->argv[0] : "-", &call) : 1;
    free(call.answer);
    return status;
}

int import_definitions(const struct line *line)
{
    char path[2000];
    struct call call = {.path = path};
    const char *name = line->argc ? line->argv[0] : "-";
    if (!path_of(line, path, sizeof path))
        return 1;
    int status = read_file(name, &call) && ask_mgmtd(line, &call) ? 0 : 1;
    free(call.body);
    free(call.answer);
    return status;
}
