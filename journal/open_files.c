#include "journal/open_files.h"

#include <unistd.h>

#include "base/check.h"
#include "journal/keeper.h"

#define FORGOTTEN UINT64_MAX /* the segment of a file that is only waiting for its users */

void open_files_init(struct open_files *files)
{
    for (unsigned i = 0; i < OPEN_FILES; i++)
        files->files[i].fd = -1;
}

static void let_go(struct open_files *files, struct open_file *file)
{
    CHECK(!file->users && !file->opening);
    keeper_close(files->keeper, file->fd);
    file->fd = -1;
}

static struct open_file *find(struct open_files *files, uint64_t segment)
{
    for (unsigned i = 0; i < OPEN_FILES; i++)
        if ((files->files[i].fd >= 0 || files->files[i].opening) && files->files[i].segment == segment)
            return &files->files[i];
    return NULL;
}

struct open_file *open_files_find(struct open_files *files, uint64_t segment)
{
    struct open_file *file = find(files, segment);
    if (file)
        file->used = ++files->uses;
    return file;
}

/* A slot for another file: a free one, else that of the file that has not been used for longest. */
static struct open_file *slot(struct open_files *files)
{
    struct open_file *oldest = NULL;
    for (unsigned i = 0; i < OPEN_FILES; i++) {
        struct open_file *file = &files->files[i];
        if (file->users || file->opening)
            continue;
        if (file->fd < 0)
            return file;
        if (!oldest || file->used < oldest->used)
            oldest = file;
    }
    CHECK(oldest);
    let_go(files, oldest);
    return oldest;
}

struct open_file *open_files_add(struct open_files *files, uint64_t segment, int fd)
{
    struct open_file *file = slot(files);
    *file = (struct open_file){.segment = segment, .fd = fd, .used = ++files->uses};
    segment_name(file->name, segment);
    return file;
}

void open_files_forget(struct open_files *files, uint64_t segment)
{
    struct open_file *file = find(files, segment);
    if (!file)
        return;
    file->segment = FORGOTTEN;
    if (!file->users && !file->opening)
        let_go(files, file);
}

void open_files_release(struct open_files *files, struct open_file *file)
{
    if (--file->users == 0 && file->segment == FORGOTTEN && file->fd >= 0)
        let_go(files, file);
}

void open_files_close(struct open_files *files)
{
    for (unsigned i = 0; i < OPEN_FILES; i++)
        if (files->files[i].fd >= 0)
            close(files->files[i].fd);
}
