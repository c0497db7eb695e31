/* A stand-in for NVIDIA's driver, `libcuda.so.1`, on which the whole CUDA backend runs without a GPU: memory of the device is memory of the
 * process, kernels and graphs do nothing, and whatever is waited for is done. It fails, hangs, or has no memory when it is told to, as a real
 * driver cannot be made to; so it shows what the program does then, and which calls it makes when.
 *
 * It cannot show pictures, since no kernel draws any, nor speed, nor whether the calls are right: a real driver refuses what this one takes.
 *
 * Environment, read when it is asked:
 *   DRIVER_VERSION  what cuDriverGetVersion says; 13000 unless it is set
 *   DRIVER_GPUS     how many there are; 1 unless it is set
 *   DRIVER_INIT     what cuInit answers; 0 unless it is set
 *   DRIVER_TAKEN    the GPU that another process has for itself; none unless it is set
 *   DRIVER_FOLDER   a folder for the following
 *
 * Files of that folder, looked at by each call:
 *   lost      what works on the GPU, or waits for it, answers the number in it: a sticky error
 *   hangs     what waits for the GPU does not return while there is -1 in it
 *   lost.GPU, hangs.GPU  the same of one GPU, by its number
 *   FUNCTION  that function answers the number in it, or does not return while that is -1
 *   calls     made by the driver: a record of 64 bytes for each function that was called, its name and how often; one more for calls after
 *             the driver's exit handler, with the name of the first
 */
#include "steering.h"

/* An address on the GPU. */
typedef uint64_t Device;

/* ---- the driver and its GPUs ---- */

static void arrange_end(void) {
    atexit(take_down);
}

int cuInit(unsigned flags) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)flags;
    pthread_once(&once, arrange_end);
    return number_of_environment("DRIVER_INIT", SUCCESS);
}

int cuDriverGetVersion(int *version) {
    *version = number_of_environment("DRIVER_VERSION", 13000);
    return SUCCESS;
}

int cuGetErrorName(int error, const char **name) {
    (void)error;
    *name = "CUDA_ERROR_OF_THE_STAND_IN";
    return SUCCESS;
}

int cuGetErrorString(int error, const char **words) {
    (void)error;
    *words = "the stand-in was told to";
    return SUCCESS;
}

int cuDeviceGetCount(int *gpus) {
    *gpus = number_of_environment("DRIVER_GPUS", 1);
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ordinal < number_of_environment("DRIVER_GPUS", 1) ? SUCCESS : INVALID_DEVICE;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    enum { MULTIPROCESSORS = 16, COMPUTE_MAJOR = 75, COMPUTE_MINOR = 76 };
    (void)device;
    *value = attribute == MULTIPROCESSORS ? 132 : attribute == COMPUTE_MAJOR ? 9 : attribute == COMPUTE_MINOR ? 0 : 1;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, (size_t)length, "stand-in %d", device);
    return SUCCESS;
}

int cuDeviceGetUuid(char *uuid, int device) {
    memset(uuid, 1 + device, 16);
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = (size_t)80 << 30;
    return SUCCESS;
}

/* ---- contexts, and memory ---- */

/* Handles that nothing looks into. */
static char contexts[16], pool;

int cuDevicePrimaryCtxRetain(void **made, int device) {
    ANSWERS;
    *made = &contexts[device];
    return device == number_of_environment("DRIVER_TAKEN", -1) ? DEVICE_UNAVAILABLE : SUCCESS;
}

int cuCtxSetCurrent(void *made) {
    current_gpu = (int)((char *)made - contexts);
    return SUCCESS;
}

int cuCtxSynchronize(void) {
    WAITS;
    return SUCCESS;
}

int cuDeviceGetDefaultMemPool(void **made, int device) {
    (void)device;
    ANSWERS;
    *made = &pool;
    return SUCCESS;
}

int cuMemPoolSetAttribute(void *of, int attribute, void *value) {
    (void)of, (void)attribute, (void)value;
    ANSWERS;
    return SUCCESS;
}

int cuMemPoolGetAttribute(void *of, int attribute, void *value) {
    (void)of, (void)attribute;
    *(uint64_t *)value = 0;
    return SUCCESS;
}

int cuMemPoolTrimTo(void *of, size_t kept) {
    (void)of, (void)kept;
    WAITS;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *bytes) {
    WAITS;
    *free_bytes = (size_t)70 << 30;
    *bytes = (size_t)80 << 30;
    return SUCCESS;
}

static int allocate(void **made, size_t bytes) {
    return posix_memalign(made, 256, bytes) == 0 ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemAlloc_v2(Device *made, size_t bytes) {
    WAITS;
    return allocate((void **)made, bytes);
}

int cuMemFree_v2(Device of) {
    WAITS;
    free((void *)of);
    return SUCCESS;
}

int cuMemAllocAsync(Device *made, size_t bytes, void *on) {
    (void)on;
    WORKS;
    return allocate((void **)made, bytes);
}

int cuMemFreeAsync(Device of, void *on) {
    (void)on;
    WORKS;
    free((void *)of);
    return SUCCESS;
}

int cuMemHostAlloc(void **made, size_t bytes, unsigned flags) {
    (void)flags;
    WAITS;
    return allocate(made, bytes);
}

int cuMemFreeHost(void *of) {
    WAITS;
    free(of);
    return SUCCESS;
}

int cuMemsetD8Async(Device to, unsigned char value, size_t bytes, void *on) {
    (void)on;
    WORKS;
    memset((void *)to, value, bytes);
    return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(Device to, const void *from, size_t bytes, void *on) {
    (void)on;
    WORKS;
    memcpy((void *)to, from, bytes);
    return SUCCESS;
}

int cuMemcpyDtoHAsync_v2(void *to, Device from, size_t bytes, void *on) {
    (void)on;
    WORKS;
    memcpy(to, (const void *)from, bytes);
    return SUCCESS;
}

int cuMemcpyDtoDAsync_v2(Device to, Device from, size_t bytes, void *on) {
    (void)on;
    WORKS;
    memcpy((void *)to, (const void *)from, bytes);
    return SUCCESS;
}

#include "work.c"
