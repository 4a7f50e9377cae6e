/* A disk without room: while the file $FULL_WHILE is there, no file under $FULL_OF grows. What is written over what
   is there goes on, as on a real one. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a file that would be this long afterwards has no room. */
static int has_no_room(int fd, off_t length) {
    const char *of = getenv("FULL_OF"), *until = getenv("FULL_WHILE");
    char link[64], path[4096];
    struct stat is;
    if (!of || !until || access(until, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t read = readlink(link, path, sizeof path - 1);
    if (read < 0 || fstat(fd, &is) != 0 || !S_ISREG(is.st_mode)) return 0;
    path[read] = 0;
    return strncmp(path, of, strlen(of)) == 0 && length > is.st_size;
}

static int refuse(void) {
    errno = ENOSPC;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    struct stat is;
    int appends = (fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &is) == 0;
    off_t at = appends ? is.st_size : lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && has_no_room(fd, at + (off_t)count)) return refuse();
    return REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return has_no_room(fd, at + (off_t)count) ? refuse() : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return has_no_room(fd, at + (off_t)count) ? refuse() : REAL(pwrite64)(fd, bytes, count, at);
}

int ftruncate(int fd, off_t length) { return has_no_room(fd, length) ? refuse() : REAL(ftruncate)(fd, length); }

int ftruncate64(int fd, off64_t length) { return has_no_room(fd, length) ? refuse() : REAL(ftruncate64)(fd, length); }
