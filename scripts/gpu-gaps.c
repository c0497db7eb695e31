// A library that CUDA loads into any program (CUDA_INJECTION64_PATH=.../libgpu-gaps.so): it records kernels and copies by CUPTI and,
// when the program ends, prints how busy the GPU was over its last seconds, how long its idle gaps were, and which kernels took the time.
// GPU_GAPS_SECONDS is how much is looked at (4), ending GPU_GAPS_BEFORE_END seconds before the last kernel's end (1).
//
// Source: CUPTI's manual, "Injection" and "Activity API" (CUpti_ActivityKernel10, CUpti_ActivityMemcpy6: CUDA 13.0).
#include <cuda.h>
#include <cupti.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 8 << 20, NAMES = 512 };

typedef struct {
    uint64_t begin, end; // Nanoseconds.
    const char *name;    // CUPTI's own; 0 for a copy.
} Span;

static Span *spans;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void keep(Span span) {
    if (count == room) {
        room = room ? room * 2 : 1 << 16;
        Span *larger = realloc(spans, room * sizeof *spans);
        if (!larger) {
            fputs("gpu-gaps: out of memory\n", stderr);
            _Exit(1);
        }
        spans = larger;
    }
    spans[count++] = span;
}

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *size, size_t *records) {
    *buffer = aligned_alloc(8, BUFFER_BYTES);
    *size = *buffer ? BUFFER_BYTES : 0;
    *records = 0;
}

static void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
    (void)context, (void)stream, (void)size;
    CUpti_Activity *record = 0;
    pthread_mutex_lock(&lock);
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
            const CUpti_ActivityKernel10 *kernel = (const void *)record;
            keep((Span){kernel->start, kernel->end, kernel->name});
        } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
            const CUpti_ActivityMemcpy6 *copy = (const void *)record;
            keep((Span){copy->start, copy->end, 0});
        }
    }
    pthread_mutex_unlock(&lock);
    free(buffer);
}

static int by_begin(const void *a, const void *b) {
    const Span *left = a, *right = b;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

typedef struct {
    const char *name;
    uint64_t ns, calls;
} Total;

static int by_time(const void *a, const void *b) {
    const Total *left = a, *right = b;
    return (left->ns < right->ns) - (left->ns > right->ns);
}

static void add(Total *totals, size_t *names, const Span *span) {
    size_t at = 0;
    while (at < *names && strcmp(totals[at].name, span->name)) at++;
    if (at == NAMES) return;
    if (at == *names) totals[(*names)++] = (Total){span->name, 0, 0};
    totals[at].ns += span->end - span->begin;
    totals[at].calls++;
}

static double seconds_of(const char *variable, double otherwise) {
    const char *text = getenv(variable);
    return text && *text ? atof(text) : otherwise;
}

static void report(void) {
    cuptiActivityFlushAll(1);
    size_t dropped = 0;
    cuptiActivityGetNumDroppedRecords(0, 0, &dropped);
    pthread_mutex_lock(&lock);
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++)
        if (spans[i].name && spans[i].end > last) last = spans[i].end;
    const uint64_t to = last - (uint64_t)(seconds_of("GPU_GAPS_BEFORE_END", 1) * 1e9);
    const uint64_t from = to - (uint64_t)(seconds_of("GPU_GAPS_SECONDS", 4) * 1e9);
    qsort(spans, count, sizeof *spans, by_begin);
    static Total totals[NAMES];
    size_t names = 0, kernels = 0, copies = 0;
    uint64_t busy_to = from, idle = 0, kernel_ns = 0, copy_ns = 0;
    // Idle time by how long the gaps are: below 5, 20, 100 us, and longer.
    uint64_t gap_ns[4] = {0}, gaps[4] = {0};
    for (size_t i = 0; i < count; i++) {
        Span span = spans[i];
        if (span.begin < from || span.begin >= to) continue;
        if (!span.name) {
            copies++;
            copy_ns += span.end - span.begin;
            continue;
        }
        kernels++;
        kernel_ns += span.end - span.begin;
        add(totals, &names, &span);
        if (span.begin > busy_to) {
            const uint64_t gap = span.begin - busy_to;
            const int size = gap < 5000 ? 0 : gap < 20000 ? 1 : gap < 100000 ? 2 : 3;
            idle += gap;
            gap_ns[size] += gap;
            gaps[size]++;
        }
        if (span.end > busy_to) busy_to = span.end;
    }
    const double all = (double)(to - from);
    printf("gpu-gaps: over %.1f s: %zu kernels, %zu copies, %zu records dropped\n", all / 1e9, kernels, copies, dropped);
    printf("gpu-gaps: idle %.2f %%: gaps below 5 us %.2f %% (%lu), 20 us %.2f %% (%lu), 100 us %.2f %% (%lu), longer %.2f %% (%lu)\n",
           100 * idle / all, 100 * gap_ns[0] / all, gaps[0], 100 * gap_ns[1] / all, gaps[1], 100 * gap_ns[2] / all, gaps[2],
           100 * gap_ns[3] / all, gaps[3]);
    printf("gpu-gaps: kernels side by side %.2f in the mean, copies %.2f\n", kernel_ns / all, copy_ns / all);
    qsort(totals, names, sizeof *totals, by_time);
    for (size_t i = 0; i < names && i < 40; i++)
        printf("gpu-gaps: %6.2f %% %8lu calls %8.1f us  %.100s\n", 100 * totals[i].ns / all, totals[i].calls,
               (double)totals[i].ns / totals[i].calls / 1e3, totals[i].name);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

// CUDA calls it when the library has been loaded. Not 0 is success.
__attribute__((visibility("default"))) int InitializeInjection(void) {
    if (cuptiActivityRegisterCallbacks(give_buffer, take_buffer) || cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) ||
        cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY)) {
        fputs("gpu-gaps: CUPTI refuses\n", stderr);
        return 0;
    }
    atexit(report);
    return 1;
}
