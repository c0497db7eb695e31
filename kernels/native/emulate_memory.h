/* Shared and global memory of the emulated GPU: who may touch what, who did, and how often the banks are passed. Part of `emulate_threads.h`,
 * whose state it works on. */
#ifndef NATIVE_EMULATE_MEMORY_H
#define NATIVE_EMULATE_MEMORY_H

namespace emulate {

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

} // namespace emulate

#endif
