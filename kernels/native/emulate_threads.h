/* Fibers, barriers, shared and global memory under `emulate.h`. One emulated device for each thread of the host. */
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

static void check_shared(u32 at, u32 size, int line) {
    if (at % size != 0) {
        fail(line, "shared memory at %u is not aligned to %u", at, size);
    }
    if ((u64)at + size > state.shared.size()) {
        fail(line, "shared memory at %u, beyond its %zu bytes", at, state.shared.size());
    }
}

static void note_read(u32 at, u32 size, u32 reader, int line) {
    for (u32 i = at / 2; i < (at + size) / 2; i++) {
        Touch &touch = state.touches[i];
        if (!touch.written || touch.pending) {
            fail(line, "shared memory at %u is read before anything is there", 2 * i);
        }
        if (touch.write_epoch == state.epoch && (touch.writer != reader || reader == SEVERAL)) {
            fail(line, "shared memory at %u is read without a barrier after thread %u wrote it", 2 * i, touch.writer);
        }
        touch.reader = touch.read_epoch == state.epoch && touch.reader != reader ? SEVERAL : reader;
        touch.read_epoch = state.epoch;
    }
}

static void note_write(u32 at, u32 size, int line) {
    u32 writer = state.thread->number;
    for (u32 i = at / 2; i < (at + size) / 2; i++) {
        Touch &touch = state.touches[i];
        if (touch.read_epoch == state.epoch && touch.reader != writer) {
            fail(line, "shared memory at %u is written without a barrier after another thread read it", 2 * i);
        }
        if (touch.written && touch.write_epoch == state.epoch && touch.writer != writer) {
            fail(line, "shared memory at %u is written by threads %u and %u", 2 * i, touch.writer, writer);
        }
        touch.written = true;
        touch.write_epoch = state.epoch;
        touch.writer = writer;
    }
}

static void note_access(u32 at, u32 size, int line) {
    u32 number = state.thread->number;
    auto &lanes = state.accesses[{number / 32, line}];
    lanes.resize(32);
    lanes[number % 32].push_back({number % 32, at, size});
}

static void read_shared(u32 at, u32 size, void *out, int line) {
    check_shared(at, size, line);
    note_read(at, size, state.thread->number, line);
    note_access(at, size, line);
    memcpy(out, &state.shared[at], size);
}

static void read_shared_by_warp(u32 at, u32 size, void *out, int line) {
    check_shared(at, size, line);
    note_read(at, size, SEVERAL, line);
    memcpy(out, &state.shared[at], size);
}

static void write_shared(u32 at, u32 size, const void *in, int line) {
    check_shared(at, size, line);
    note_write(at, size, line);
    note_access(at, size, line);
    memcpy(&state.shared[at], in, size);
}

static void start_copy(u32 at, const void *from, bool valid, int line) {
    check_shared(at, 16, line);
    /* It may land at any time from now on. */
    note_write(at, 16, line);
    for (u32 i = at / 2; i < at / 2 + 8; i++) {
        state.touches[i].pending = true;
    }
    state.thread->open.push_back({at, from, valid, line});
}

static void commit() {
    state.thread->groups.push_back(std::move(state.thread->open));
    state.thread->open.clear();
}

static void finish_copies(size_t left, int line) {
    auto &groups = state.thread->groups;
    while (groups.size() > left) {
        for (const Copy &copy : groups.front()) {
            note_write(copy.at, 16, line);
            for (u32 i = copy.at / 2; i < copy.at / 2 + 8; i++) {
                state.touches[i].pending = false;
            }
            if (copy.valid) {
                memcpy(&state.shared[copy.at], copy.from, 16);
            } else {
                memset(&state.shared[copy.at], 0, 16);
            }
        }
        groups.erase(groups.begin());
    }
}

static void check_global(const void *pointer, u32 size, bool write, int line) {
    const u8 *at = (const u8 *)pointer;
    if ((u64)pointer % size != 0) {
        fail(line, "global memory at %p is not aligned to %u", pointer, size);
    }
    for (size_t i = 0; i < state.ranges.size(); i++) {
        size_t index = (state.last_range + i) % state.ranges.size();
        Range &range = state.ranges[index];
        if (at < range.begin || at + size > range.end) {
            continue;
        }
        state.last_range = index;
        if (!range.constant && !state.thread->waited) {
            fail(line, "global memory is touched before the kernels before are waited for");
        }
        if (!write) {
            return;
        }
        if (!range.writable) {
            fail(line, "global memory is written that is to be read only");
        }
        for (u64 b = (u64)(at - range.begin); b < (u64)(at - range.begin) + size; b++) {
            if (range.written[b]) {
                fail(line, "global memory is written twice, byte %llu of its buffer", b);
            }
            range.written[b] = true;
        }
        return;
    }
    fail(line, "global memory at %p is in no buffer", pointer);
}

/* How many passes over the 32 banks the lanes of one load or store take, `lanes` of `size` bytes. */
static void count_wavefronts(int line, const u32 *places, u32 lanes, u32 size) {
    Count &count = state.counts[line];
    count.instructions++;
    u32 together = 128 / size;
    for (u32 first = 0; first < lanes; first += together) {
        std::vector<u32> banks[32];
        for (u32 lane = first; lane < lanes && lane < first + together; lane++) {
            for (u32 word = places[lane] / 4; word < (places[lane] + size + 3) / 4; word++) {
                auto &bank = banks[word % 32];
                bool known = false;
                for (u32 other : bank) {
                    known |= other == word;
                }
                if (!known) {
                    bank.push_back(word);
                }
            }
        }
        size_t most = 0;
        for (auto &bank : banks) {
            most = bank.size() > most ? bank.size() : most;
        }
        count.wavefronts += most;
        count.least += 1;
    }
}

/* The n-th access of each lane at a line is one instruction of the warp. */
static void settle_accesses() {
    for (auto &[key, lanes] : state.accesses) {
        for (size_t n = 0;; n++) {
            u32 places[32], count = 0, size = 4;
            for (auto &lane : lanes) {
                if (n < lane.size()) {
                    places[count++] = lane[n].at;
                    size = lane[n].size;
                }
            }
            if (count == 0) {
                break;
            }
            count_wavefronts(key.second, places, count, size);
        }
    }
    state.accesses.clear();
}

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
