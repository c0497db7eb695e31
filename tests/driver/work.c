/* What is enqueued, and what waits for it: a part of `driver.c`. */

/* Handles that nothing looks into. */
static char stream, graph, runnable, module, kernel;

/* ---- streams and events ---- */

int cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return SUCCESS;
}

int cuStreamCreate(void **made, unsigned flags) {
    (void)flags;
    ANSWERS;
    *made = &stream;
    return SUCCESS;
}

int cuStreamCreateWithPriority(void **made, unsigned flags, int priority) {
    (void)flags, (void)priority;
    ANSWERS;
    *made = &stream;
    return SUCCESS;
}

int cuStreamDestroy_v2(void *of) {
    (void)of;
    ANSWERS;
    return SUCCESS;
}

int cuStreamSynchronize(void *of) {
    (void)of;
    WAITS;
    return SUCCESS;
}

int cuStreamWaitEvent(void *of, void *event, unsigned flags) {
    (void)of, (void)event, (void)flags;
    WORKS;
    return SUCCESS;
}

/* A GPU takes some milliseconds for a batch, whose end is an event without a time; what is measured has one, and takes none. */
enum { WITHOUT_TIME = 2 };

static char batch_event, timed_event;

int cuEventCreate(void **made, unsigned flags) {
    ANSWERS;
    *made = flags & WITHOUT_TIME ? &batch_event : &timed_event;
    return SUCCESS;
}

int cuEventDestroy_v2(void *of) {
    (void)of;
    ANSWERS;
    return SUCCESS;
}

int cuEventRecord(void *of, void *on) {
    (void)of, (void)on;
    WORKS;
    return SUCCESS;
}

int cuEventQuery(void *of) {
    (void)of;
    WORKS;
    return SUCCESS;
}

int cuEventSynchronize(void *of) {
    WAITS;
    if (of == &batch_event) usleep(3000);
    return SUCCESS;
}

int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
    (void)from, (void)to;
    WORKS;
    *milliseconds = 0.1f;
    return SUCCESS;
}

/* ---- kernels, and graphs of them ---- */

int cuModuleLoadData(void **made, const void *image) {
    (void)image;
    WORKS;
    *made = &module;
    return SUCCESS;
}

int cuModuleUnload(void *of) {
    (void)of;
    ANSWERS;
    return SUCCESS;
}

int cuModuleGetFunction(void **made, void *of, const char *name) {
    (void)of, (void)name;
    ANSWERS;
    *made = &kernel;
    return SUCCESS;
}

int cuFuncSetAttribute(void *of, int attribute, int value) {
    (void)of, (void)attribute, (void)value;
    return SUCCESS;
}

int cuFuncGetAttribute(int *value, int attribute, void *of) {
    (void)attribute, (void)of;
    *value = 90;
    return SUCCESS;
}

int cuLaunchKernel(void *of, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                   unsigned threads_y, unsigned threads_z, unsigned shared_bytes, void *on, void **parameters,
                   void **more) {
    (void)of, (void)blocks_x, (void)blocks_y, (void)blocks_z, (void)threads_x, (void)threads_y, (void)threads_z;
    (void)shared_bytes, (void)on, (void)parameters, (void)more;
    WORKS;
    return SUCCESS;
}

int cuLaunchKernelEx(const void *launch, void *of, void **parameters, void **more) {
    (void)launch, (void)of, (void)parameters, (void)more;
    WORKS;
    return SUCCESS;
}

/* Its caller has another way. */
int cuTensorMapEncodeTiled(void) {
    ANSWERS;
    return NOT_SUPPORTED;
}

int cuStreamBeginCapture_v2(void *of, int mode) {
    (void)of, (void)mode;
    WORKS;
    return SUCCESS;
}

int cuStreamEndCapture(void *of, void **made) {
    (void)of;
    WORKS;
    *made = &graph;
    return SUCCESS;
}

int cuGraphGetNodes(void *of, void **nodes, size_t *length) {
    (void)of, (void)nodes;
    WORKS;
    *length = 0;
    return SUCCESS;
}

int cuGraphNodeGetType(void *node, int *type) {
    (void)node;
    WORKS;
    *type = 0;
    return SUCCESS;
}

int cuGraphInstantiateWithFlags(void **made, void *of, unsigned long long flags) {
    (void)of, (void)flags;
    WORKS;
    *made = &runnable;
    return SUCCESS;
}

int cuGraphLaunch(void *of, void *on) {
    (void)of, (void)on;
    WORKS;
    return SUCCESS;
}

int cuGraphExecDestroy(void *of) {
    (void)of;
    ANSWERS;
    return SUCCESS;
}

int cuGraphDestroy(void *of) {
    (void)of;
    ANSWERS;
    return SUCCESS;
}
