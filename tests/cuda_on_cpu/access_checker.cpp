#include "tests/cuda_on_cpu/access_checker.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/mman.h>

#include "tests/cuda_on_cpu/device_memory.h"
#include "tests/cuda_on_cpu/emulator.h"

namespace emulator {
namespace {

/// The last access to a byte; block 0: there was none.
struct Stamp {
    uint32_t block;
    uint16_t thread, epoch, warp_epoch;
};

/// The state of one byte. All zeros: not allocated.
struct Byte {
    Stamp write, read;
    bool allocated, written, atomic_write;
    bool many_threads, many_warps, many_blocks; ///< unordered readers besides `read`
};

struct Shadow {
    Range range;
    Byte* bytes = nullptr;

    explicit Shadow(Range of) : range(of) {
        void* memory = mmap(nullptr, of.bytes * sizeof(Byte), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        bytes = static_cast<Byte*>(memory);
    }
};

bool active = false;
size_t shared_bytes = 0;

Shadow& device_shadow() {
    static Shadow shadow(device_range());
    return shadow;
}

Shadow& shared_shadow() {
    static Shadow shadow(shared_range());
    return shadow;
}

bool same_warp(uint16_t a, uint16_t b) { return a / warp_size == b / warp_size; }

/// Whether the access `earlier` is ordered before what the thread at `now` does.
bool ordered(const Stamp& earlier, const Place& now) {
    if (earlier.block < now.first_block) return true; // an earlier launch, or no access
    if (earlier.block != now.block) return false;
    if (earlier.thread == now.thread || earlier.epoch != now.epoch) return true;
    return same_warp(earlier.thread, now.thread) && earlier.warp_epoch != now.warp_epoch;
}

std::string text_of(const char* what, size_t bytes, const Range& range, const void* address, const void* instruction) {
    char text[160];
    std::snprintf(text, sizeof text, "%s at byte %zu of %s memory (%zu bytes, code at %p)", what, range.offset(address),
                  range.first == shared_range().first ? "shared" : "device", bytes, instruction);
    return text;
}

const char* check_read(Byte& byte, const Place& now, bool shared) {
    if (!byte.written || (shared && byte.write.block != now.block)) return "reads what nobody wrote";
    if (!ordered(byte.write, now)) return "reads while another thread writes, nothing orders them,";
    Stamp& read = byte.read;
    if (read.block < now.first_block) {
        byte.many_threads = byte.many_warps = byte.many_blocks = false;
    } else if (read.block != now.block) {
        byte.many_blocks = true;
    } else if (read.epoch != now.epoch) {
        byte.many_threads = byte.many_warps = false;
    } else if (read.thread != now.thread) {
        if (!same_warp(read.thread, now.thread)) {
            byte.many_warps = true;
        } else {
            byte.many_threads = read.warp_epoch == now.warp_epoch;
        }
    }
    read = {now.block, now.thread, now.epoch, now.warp_epoch};
    return nullptr;
}

const char* check_write(Byte& byte, const Place& now, bool atomic) {
    const bool both_atomic = atomic && byte.atomic_write;
    if (!both_atomic && !ordered(byte.write, now)) return "writes while another thread writes, nothing orders them,";
    const Stamp& read = byte.read;
    if (read.block >= now.first_block) {
        const bool same_epoch = read.block == now.block && read.epoch == now.epoch;
        const bool same_warp_epoch = same_epoch && read.warp_epoch == now.warp_epoch;
        if (!ordered(read, now) || byte.many_blocks || (same_epoch && byte.many_warps) ||
            (same_warp_epoch && byte.many_threads))
            return "writes while another thread reads, nothing orders them,";
    }
    byte.write = {now.block, now.thread, now.epoch, now.warp_epoch};
    byte.written = true;
    byte.atomic_write = atomic;
    return nullptr;
}

} // namespace

bool checks_accesses() { return active; }

void note_access(const void* address, size_t bytes, Access access, const void* instruction) {
    if (!active || !in_kernel()) return;
    const bool shared = shared_range().contains(address);
    if (!shared && !device_range().contains(address)) return;
    Shadow& shadow = shared ? shared_shadow() : device_shadow();
    const size_t first = shadow.range.offset(address);
    const auto complain = [&](const char* what) {
        fail_thread(text_of(what, bytes, shadow.range, address, instruction));
    };
    if (first % bytes != 0) complain("makes a misaligned access");
    Place now = here();
    if (shared) now.first_block = now.block; // shared memory is new to each block
    for (size_t i = first; i < first + bytes; ++i) {
        Byte& byte = shadow.bytes[i];
        if (shared ? i >= shared_bytes : !byte.allocated) complain("is out of bounds");
        const char* wrong = nullptr;
        if (access == Access::Read) {
            wrong = check_read(byte, now, shared);
        } else if (access == Access::Write) {
            wrong = check_write(byte, now, false);
        } else {
            wrong = byte.written && (!shared || byte.write.block == now.block) ? check_write(byte, now, true)
                                                                               : "reads what nobody wrote";
        }
        if (wrong) complain(wrong);
    }
}

void note_vector(const void*, size_t, size_t) {} // each element is checked

void mark_allocated(const void* memory, size_t bytes) {
    Byte* first = device_shadow().bytes + device_range().offset(memory);
    for (size_t i = 0; active && i < bytes; ++i) {
        first[i] = {};
        first[i].allocated = true;
    }
}

void mark_free(const void* memory, size_t bytes) {
    Byte* first = device_shadow().bytes + device_range().offset(memory);
    for (size_t i = 0; active && i < bytes; ++i) first[i].allocated = false;
}

void mark_written(const void* memory, size_t bytes) {
    Byte* first = device_shadow().bytes + device_range().offset(memory);
    for (size_t i = 0; active && i < bytes; ++i) first[i].written = true;
}

void set_shared_bytes(size_t bytes) { shared_bytes = bytes; }

} // namespace emulator

// The calls that the compiler inserts. Their names and meanings are in GCC's gcc/sanitizer.def; clang's additional ones
// are in its compiler-rt/lib/tsan/rtl/tsan_interface.h.
using emulator::Access;

namespace {

void note_range(const void* first, size_t bytes, Access access, const void* instruction) {
    for (size_t i = 0; i < bytes; ++i)
        emulator::note_access(static_cast<const char*>(first) + i, 1, access, instruction);
}

} // namespace

#define REPORTS(size)                                                                                                  \
    void __tsan_read##size(void* a) { emulator::note_access(a, size, Access::Read, __builtin_return_address(0)); }     \
    void __tsan_write##size(void* a) { emulator::note_access(a, size, Access::Write, __builtin_return_address(0)); }

// Accesses of this size whose type does not guarantee alignment to that size.
#define REPORTS_UNALIGNED(size)                                                                                        \
    void __tsan_unaligned_read##size(void* a) { note_range(a, size, Access::Read, __builtin_return_address(0)); }      \
    void __tsan_unaligned_write##size(void* a) { note_range(a, size, Access::Write, __builtin_return_address(0)); }

#include "tests/cuda_on_cpu/reported_ranges.h"

extern "C" {

void __tsan_init() { emulator::active = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit(void*) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
REPORTS(1)
REPORTS(2)
REPORTS(4)
REPORTS(8)
REPORTS(16)
REPORTS_UNALIGNED(2)
REPORTS_UNALIGNED(4)
REPORTS_UNALIGNED(8)
REPORTS_UNALIGNED(16)
// The guard of a static variable, on the host.
char __tsan_atomic8_load(const volatile char* a, int) { return __atomic_load_n(a, __ATOMIC_SEQ_CST); }

// At each basic block, for the access counter (tests/counters), which is linked with the same kernels.
void __sanitizer_cov_trace_pc() {}

} // extern "C"
