/* How the stand-in is told what to do, and what it tells: see `driver.c`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, DEVICE_UNAVAILABLE = 46, INVALID_DEVICE = 101, NOT_SUPPORTED = 801 };

static int number_of_environment(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

/* The path of a file of the folder; 0 without one. */
static int path_of(const char *name, char path[4096]) {
    const char *folder = getenv("DRIVER_FOLDER");
    return folder && snprintf(path, 4096, "%s/%s", folder, name) < 4096;
}

/* The number in a file of the folder; 0 where there is no such file. */
static int number_of_file(const char *name) {
    char path[4096], text[16] = "";
    if (!path_of(name, path)) return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? atoi(text) : 0;
}

/* ---- how often what was called ---- */

typedef struct {
    char name[56];
    uint64_t count;
} Calls;

enum { MOST_FUNCTIONS = 128 };

static Calls *calls;
static int functions;
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void open_calls(void) {
    char path[4096];
    size_t size = MOST_FUNCTIONS * sizeof(Calls);
    if (!path_of("calls", path)) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, (off_t)size) != 0) return;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) calls = map;
}

/* A driver takes itself down in an exit handler: whoever calls it from then on may crash, or wait for ever. */
static volatile int is_over;

static void take_down(void) {
    is_over = 1;
    /* What a thread has begun to take down it goes on with meanwhile. */
    usleep(50000);
}

/* `own` is the function's own place, kept between its calls. */
static void count(const char *function, Calls **own) {
    static Calls *late;
    char name[sizeof(late->name)];
    if (!calls) return;
    pthread_mutex_lock(&calls_lock);
    if (is_over) {
        snprintf(name, sizeof name, "after the end: %s", function);
        function = name;
        own = &late;
    }
    if (!*own && functions < MOST_FUNCTIONS) {
        *own = &calls[functions++];
        strncpy((*own)->name, function, sizeof (*own)->name - 1);
    }
    if (*own) (*own)->count++;
    pthread_mutex_unlock(&calls_lock);
}

#define COUNT                                                                                                          \
    static Calls *own;                                                                                                 \
    count(__func__, &own)

/* ---- what calls answer ---- */

/* What calls are told by a file to answer, once they may return. */
static int told(const char *file) {
    int number;
    while ((number = number_of_file(file)) < 0) usleep(20000);
    return number;
}

/* The GPU whose context is the calling thread's. */
static __thread int current_gpu;

/* The same of a file for all GPUs, or for the calling thread's: `lost`, or `lost.1`. */
static int told_of_gpu(const char *file) {
    char name[32];
    snprintf(name, sizeof name, "%s.%d", file, current_gpu);
    int number = told(file);
    return number != SUCCESS ? number : told(name);
}

/* What is asked of the driver alone. */
#define ANSWERS                                                                                                        \
    COUNT;                                                                                                             \
    int answer = told(__func__);                                                                                       \
    if (answer != SUCCESS) return answer

/* What works on the GPU. */
#define WORKS                                                                                                          \
    ANSWERS;                                                                                                           \
    answer = told_of_gpu("lost");                                                                                      \
    if (answer != SUCCESS) return answer

/* What waits for it. */
#define WAITS                                                                                                          \
    told_of_gpu("hangs");                                                                                              \
    WORKS
