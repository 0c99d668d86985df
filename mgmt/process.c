#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The first number behind a word in a file of the process's. */
static uint64_t number_behind(pid_t pid, const char *file, const char *word)
{
    char path[64], line[256];
    unsigned long long number = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, word, strlen(word)) == 0) {
            sscanf(line + strlen(word), " %llu", &number);
            break;
        }
    if (in)
        fclose(in);
    return number;
}

uint64_t process_memory(pid_t pid)
{
    return number_behind(pid, "status", "VmRSS:") * 1024;
}

uint64_t process_descriptors_most(pid_t pid)
{
    return number_behind(pid, "limits", "Max open files");
}

uint64_t process_descriptors(pid_t pid, uint64_t connections)
{
    char path[64];
    uint64_t count = 0;
    struct stat facts = {0};
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    else if (stat(path, &facts) == 0)
        count = facts.st_size > 0 ? (uint64_t)facts.st_size : connections;
    return count;
}

uint64_t disk_free_bytes(const char *directory)
{
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}
