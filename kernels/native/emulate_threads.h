/* Fibers and barriers under `emulate.h`, with the memory they share. One emulated device for each thread of the host. */
#ifndef NATIVE_EMULATE_THREADS_H
#define NATIVE_EMULATE_THREADS_H

#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <ucontext.h>
#include <vector>

namespace emulate {

struct Dim {
    u32 x, y, z;
};

enum class Waits { Nothing, Warp, Block, Ended };

struct Copy {
    u32 at;
    const void *from;
    bool valid;
    int line;
};

struct Thread {
    Dim index;
    u32 number;
    Waits waits;
    bool started;
    bool waited;
    int line;
    const void *in;
    void *out;
    jmp_buf place;
    ucontext_t entry;
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;
};

/* Two bytes of shared memory: who touched them, between which barriers. */
struct Touch {
    u32 write_epoch = 0, read_epoch = 0;
    u32 writer = 0, reader = 0;
    bool written = false, pending = false;
};

struct Range {
    const u8 *begin, *end;
    /* What no kernel writes, and what this one may write. */
    bool constant, writable;
    std::vector<bool> written;
};

struct Access {
    u32 lane, at, size;
};

struct Count {
    u64 instructions = 0, wavefronts = 0, least = 0;
};

constexpr u32 SEVERAL = ~0u;
constexpr size_t STACK = 64 << 10;

struct State {
    const char *kernel = "";
    void (*body)(const void *) = nullptr;
    const void *params = nullptr;
    Dim block, blocks, threads_of_block;
    Thread *thread = nullptr;
    std::vector<std::unique_ptr<Thread>> threads;
    std::vector<std::unique_ptr<u8[]>> stacks;
    std::vector<u32> met;
    std::vector<u8> shared;
    std::vector<Touch> touches;
    std::vector<Range> ranges;
    size_t last_range = 0;
    u32 epoch = 0;
    jmp_buf scheduler;
    /* By warp and line: what each lane's load or store touched, in order. */
    std::map<std::pair<u32, int>, std::vector<std::vector<Access>>> accesses;
    std::map<int, Count> counts;
};

static thread_local State state;

[[noreturn]] static void fail(int line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "kernel %s, block (%u, %u, %u)", state.kernel, state.block.x, state.block.y, state.block.z);
    if (state.thread) {
        fprintf(stderr, ", thread %u", state.thread->number);
    }
    fprintf(stderr, ", line %d: ", line);
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    abort();
}

/* Back to the scheduler, until it resumes this thread. */
static void yield() {
    Thread *mine = state.thread;
    if (!_setjmp(mine->place)) {
        _longjmp(state.scheduler, 1);
    }
}

static void barrier(int line) {
    state.thread->waits = Waits::Block;
    state.thread->line = line;
    yield();
}

/* All lanes of a warp come together, and the last does `work` for all. */
typedef void (*Work)(const void *const in[32], void *const out[32], int line);

static void meet(int line, const void *in, void *out, Work work) {
    Thread *mine = state.thread;
    u32 first = mine->number / 32 * 32;
    mine->in = in;
    mine->out = out;
    mine->line = line;
    if (++state.met[first / 32] < 32) {
        mine->waits = Waits::Warp;
        yield();
        return;
    }
    state.met[first / 32] = 0;
    const void *ins[32];
    void *outs[32];
    for (u32 lane = 0; lane < 32; lane++) {
        Thread *other = state.threads[first + lane].get();
        if (other->line != line) {
            fail(line, "a lane is at line %d instead", other->line);
        }
        ins[lane] = other->in;
        outs[lane] = other->out;
        other->waits = Waits::Nothing;
    }
    work(ins, outs, line);
}

} // namespace emulate

#include "native/emulate_memory.h"

namespace emulate {

static void enter() {
    state.body(state.params);
    Thread *mine = state.thread;
    if (!mine->open.empty()) {
        fail(0, "a copy was started and never committed");
    }
    mine->waits = Waits::Ended;
    _longjmp(state.scheduler, 1);
}

static void resume(Thread *thread) {
    state.thread = thread;
    if (!_setjmp(state.scheduler)) {
        if (thread->started) {
            _longjmp(thread->place, 1);
        }
        thread->started = true;
        setcontext(&thread->entry);
    }
    state.thread = nullptr;
}

static void run_block(Dim block, u32 shared_bytes) {
    state.block = block;
    state.epoch++;
    state.shared.assign(shared_bytes, 0xFF);
    state.touches.assign((shared_bytes + 1) / 2, Touch());
    Dim size = state.threads_of_block;
    u32 count = size.x * size.y * size.z;
    state.met.assign(count / 32, 0);
    while (state.threads.size() < count) {
        state.threads.emplace_back(new Thread);
        state.stacks.emplace_back(new u8[STACK]);
    }
    for (u32 n = 0; n < count; n++) {
        Thread *thread = state.threads[n].get();
        thread->index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
        thread->number = n;
        thread->waits = Waits::Nothing;
        thread->started = false;
        thread->waited = false;
        thread->groups.clear();
        thread->open.clear();
        getcontext(&thread->entry);
        thread->entry.uc_stack.ss_sp = state.stacks[n].get();
        thread->entry.uc_stack.ss_size = STACK;
        thread->entry.uc_link = nullptr;
        makecontext(&thread->entry, enter, 0);
    }
    for (;;) {
        bool moved = false, alive = false, all_wait = true;
        for (u32 n = 0; n < count; n++) {
            if (state.threads[n]->waits == Waits::Nothing) {
                resume(state.threads[n].get());
                moved = true;
            }
        }
        for (u32 n = 0; n < count; n++) {
            Waits waits = state.threads[n]->waits;
            alive |= waits != Waits::Ended;
            all_wait &= waits == Waits::Block;
        }
        if (!alive) {
            break;
        }
        if (all_wait) {
            state.epoch++;
            settle_accesses();
            for (u32 n = 0; n < count; n++) {
                state.threads[n]->waits = Waits::Nothing;
            }
        } else if (!moved) {
            for (u32 n = 0; n < count; n++) {
                state.thread = state.threads[n].get();
                if (state.thread->waits != Waits::Ended) {
                    fail(state.thread->line, "it waits for threads that wait elsewhere or have ended");
                }
            }
        }
    }
    settle_accesses();
}

} // namespace emulate

#endif
