/* Preloaded into a process, this keeps what the process has flushed, and nothing else.

   A file's content counts from fsync or fdatasync of the file, or from a write where it is open for
   synchronous writes, a name in a folder from fsync of the folder: the strict reading of POSIX,
   harder than any journalling filesystem. The copy lies in $POWERCUT_SHADOW: files/<inode> and
   folders/<inode> (lines "inode, d or f, name"). */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void finish(const char *part, const char *final) {
    if (rename(part, final) != 0)
        abort();
}

static void keep_folder(int descriptor, const char *shadow, unsigned long inode) {
    char part[4096], final[4096];
    snprintf(part, sizeof part, "%s/folders/%lu.%d", shadow, inode, gettid());
    snprintf(final, sizeof final, "%s/folders/%lu", shadow, inode);
    DIR *folder = fdopendir(openat(descriptor, ".", O_RDONLY | O_DIRECTORY));
    FILE *list = fopen(part, "w");
    if (folder == NULL || list == NULL)
        abort();
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fprintf(list, "%lu %c %s\n", (unsigned long)entry->d_ino,
                    entry->d_type == DT_DIR ? 'd' : 'f', entry->d_name);
    closedir(folder);
    fclose(list);
    finish(part, final);
}

static void keep_file(int descriptor, const char *shadow, unsigned long inode) {
    char part[4096], final[4096], buffer[65536], self[64];
    snprintf(part, sizeof part, "%s/files/%lu.%d", shadow, inode, gettid());
    snprintf(final, sizeof final, "%s/files/%lu", shadow, inode);
    snprintf(self, sizeof self, "/proc/self/fd/%d", descriptor);
    int from = open(self, O_RDONLY | O_CLOEXEC), to = creat(part, 0600);
    if (from < 0 || to < 0)
        abort();
    for (ssize_t count; (count = read(from, buffer, sizeof buffer)) > 0;)
        if (write(to, buffer, count) != count)
            abort();
    close(from);
    close(to);
    finish(part, final);
}

static int keep(int descriptor) {
    const char *shadow = getenv("POWERCUT_SHADOW");
    struct stat status;
    if (shadow == NULL || fstat(descriptor, &status) != 0)
        return -1;
    if (S_ISDIR(status.st_mode))
        keep_folder(descriptor, shadow, status.st_ino);
    else
        keep_file(descriptor, shadow, status.st_ino);
    return 0;
}

ssize_t pwrite64(int descriptor, const void *content, size_t size, off64_t position) {
    ssize_t written = syscall(SYS_pwrite64, descriptor, content, size, position);
    if (written >= 0 && fcntl(descriptor, F_GETFL) & O_DSYNC)
        keep(descriptor);
    return written;
}
ssize_t pwrite(int descriptor, const void *content, size_t size, off_t position) {
    return pwrite64(descriptor, content, size, position);
}

int fsync(int descriptor) { return keep(descriptor); }
int fdatasync(int descriptor) { return keep(descriptor); }
