/* What a machine that loses its power keeps at least: of each file under $SYNCED_OF, its content when it was last
   synced, in $SYNCED_INTO under its own name. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void keep(int fd) {
    const char *of = getenv("SYNCED_OF"), *into = getenv("SYNCED_INTO");
    char link[64], path[4096], partial[4096], whole[4096], bytes[65536];
    if (!of || !into) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (strncmp(path, of, strlen(of)) != 0) return;
    const char *name = strrchr(path, '/') + 1;
    snprintf(partial, sizeof partial, "%s/.%s.%d", into, name, (int)gettid());
    snprintf(whole, sizeof whole, "%s/%s", into, name);
    int from = open(path, O_RDONLY), to = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (from < 0 || to < 0) abort();
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        if (write(to, bytes, (size_t)n) != n) abort();
    close(from);
    close(to);
    if (rename(partial, whole) != 0) abort();
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int done = real(fd);
    if (done == 0) keep(fd);
    return done;
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int done = real(fd);
    if (done == 0) keep(fd);
    return done;
}
