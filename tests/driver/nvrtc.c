/* A stand-in for NVIDIA's run-time compiler, `libnvrtc.so.13`, beside that of the driver, which loads any image: for programs that were built
 * without nvcc, and for drivers older than what nvcc has built in. It compiles nothing. */
#include <stddef.h>

const char *nvrtcGetErrorString(int status) {
    (void)status;
    return "the stand-in was told to";
}

int nvrtcVersion(int *major, int *minor) {
    *major = 13;
    *minor = 0;
    return 0;
}

int nvrtcGetNumSupportedArchs(int *count) {
    *count = 1;
    return 0;
}

int nvrtcGetSupportedArchs(int *architectures) {
    *architectures = 90;
    return 0;
}

int nvrtcCreateProgram(void **program, const char *source, const char *name, int headers, const char *const *texts,
                       const char *const *names) {
    static char made;
    (void)source, (void)name, (void)headers, (void)texts, (void)names;
    *program = &made;
    return 0;
}

int nvrtcDestroyProgram(void **program) {
    *program = NULL;
    return 0;
}

int nvrtcCompileProgram(void *program, int count, const char *const *options) {
    (void)program, (void)count, (void)options;
    return 0;
}

/* Whatever is asked for is one byte long. */
static int one(size_t *bytes) {
    *bytes = 1;
    return 0;
}

static int nothing(char *to) {
    *to = '\0';
    return 0;
}

#define RESULT(name)                                                                                                   \
    int name##Size(void *program, size_t *bytes) { return (void)program, one(bytes); }                                 \
    int name(void *program, char *to) { return (void)program, nothing(to); }

RESULT(nvrtcGetProgramLog)
RESULT(nvrtcGetPTX)
RESULT(nvrtcGetCUBIN)
