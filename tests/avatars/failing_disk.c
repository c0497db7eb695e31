/* Stands before libc: while the file FAIL_WHILE is there, what ends in FAIL_AT cannot be looked at. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char* path) {
    const char* at = getenv("FAIL_AT");
    const char* armed = getenv("FAIL_WHILE");
    size_t length = strlen(path);
    if (!at || !armed || length < strlen(at)) return 0;
    return strcmp(path + length - strlen(at), at) == 0 && access(armed, F_OK) == 0;
}

DIR* opendir(const char* path) {
    if (fails(path)) {
        errno = EMFILE;
        return NULL;
    }
    DIR* (*real)(const char*);
    *(void**)&real = dlsym(RTLD_NEXT, "opendir");
    return real(path);
}

char* realpath(const char* path, char* resolved) {
    if (fails(path)) {
        errno = EIO;
        return NULL;
    }
    char* (*real)(const char*, char*);
    *(void**)&real = dlsym(RTLD_NEXT, "realpath");
    return real(path, resolved);
}
