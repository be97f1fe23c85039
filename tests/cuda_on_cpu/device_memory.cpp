#include "tests/cuda_on_cpu/device_memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include <sys/mman.h>

#include "tests/cuda_on_cpu/access_checker.h"
#include "tests/cuda_on_cpu/emulator.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {
namespace {

constexpr size_t alignment = 256, redzone = 256;
constexpr unsigned char canary = 0xA5;

#if defined(EMULATOR_COUNTS)
constexpr size_t most_bytes = size_t{64} << 30; // only what is touched takes memory
constexpr int fresh_byte = 0;
#else
constexpr size_t most_bytes = size_t{256} << 20;
constexpr int fresh_byte = 0xFF;
#endif

std::map<size_t, size_t> blocks; ///< offset and size of what is allocated
size_t shared_bytes = 0;

Range reserve(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return {static_cast<char*>(memory), bytes};
}

#if defined(__SANITIZE_ADDRESS__)
void forbid(void* memory, size_t bytes) { __asan_poison_memory_region(memory, bytes); }
void permit(void* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
bool redzone_intact(size_t) { return true; } // a write there is reported when it happens
void fill_redzone(size_t, size_t) {}
#else
void forbid(void*, size_t) {}
void permit(void*, size_t) {}

bool all_canary(const char* from, const char* to) {
    for (; from < to; ++from)
        if (static_cast<unsigned char>(*from) != canary) return false;
    return true;
}

char* end_of(size_t offset, size_t bytes) {
    return device_range().first + offset + (bytes + alignment - 1) / alignment * alignment + redzone;
}

bool redzone_intact(size_t offset) {
    const char* first = device_range().first + offset;
    return all_canary(first - redzone, first) && all_canary(first + blocks[offset], end_of(offset, blocks[offset]));
}

void fill_redzone(size_t offset, size_t bytes) {
    char* first = device_range().first + offset;
    std::memset(first - redzone, canary, redzone);
    std::memset(first + bytes, canary, static_cast<size_t>(end_of(offset, bytes) - first) - bytes);
}
#endif

} // namespace

size_t device_bytes() { return most_bytes; }

Range device_range() {
    static const Range range = [] {
        const Range all = reserve(device_bytes());
        forbid(all.first, all.bytes);
        return all;
    }();
    return range;
}

Range shared_range() {
    static const Range range = reserve(max_shared);
    return range;
}

void* shared_memory() { return shared_range().first; }

void prepare_shared(size_t bytes) {
    const Range range = shared_range();
    permit(range.first, range.bytes);
    std::memset(range.first, 0xFF, bytes);
    forbid(range.first + bytes, range.bytes - bytes);
    set_shared_bytes(bytes);
    shared_bytes = bytes;
}

void* allocate(size_t bytes) {
    size_t offset = redzone;
    for (const auto& [first, size] : blocks) {
        if (first >= offset + bytes + alignment + 2 * redzone) break;
        offset = first + (size + alignment - 1) / alignment * alignment + 2 * redzone;
    }
    if (bytes == 0 || offset + bytes + alignment + 2 * redzone > device_bytes()) return nullptr;
    blocks[offset] = bytes;
    char* memory = device_range().first + offset;
    permit(memory, bytes);
    fill(memory, fresh_byte, bytes);
    fill_redzone(offset, bytes);
    mark_allocated(memory, bytes);
    return memory;
}

bool release(void* memory) {
    const auto found = blocks.find(device_range().offset(memory));
    if (found == blocks.end()) return false;
    const bool intact = redzone_intact(found->first);
    mark_free(memory, found->second);
    forbid(memory, found->second);
    blocks.erase(found);
    return intact;
}

bool check_range(const void* memory, size_t bytes) {
    const size_t offset = device_range().offset(memory);
    auto after = blocks.upper_bound(offset);
    if (after != blocks.begin()) {
        const auto& [first, size] = *std::prev(after);
        if (offset + bytes <= first + size) return true;
    }
    set_error("a copy or fill of " + std::to_string(bytes) + " bytes that are not in one allocation");
    return false;
}

bool check_memory() {
    for (const auto& [offset, bytes] : blocks) {
        if (redzone_intact(offset)) continue;
        set_error("memory around an allocation of " + std::to_string(bytes) + " bytes was written");
        return false;
    }
    return true;
}

void fill(void* memory, int value, size_t bytes) {
    constexpr size_t page = 4096, many = 1024 * page;
    char *const first = static_cast<char*>(memory), *const end = first + bytes;
    if (value != 0 || bytes < many) {
        std::memset(first, value, bytes);
        return;
    }
    char* const whole = first + (page - reinterpret_cast<uintptr_t>(first) % page) % page;
    const size_t pages = static_cast<size_t>(end - whole) / page * page;
    if (madvise(whole, pages, MADV_DONTNEED) != 0) std::abort();
    std::memset(first, 0, static_cast<size_t>(whole - first));
    std::memset(whole + pages, 0, static_cast<size_t>(end - whole) - pages);
}

size_t allocations() { return blocks.size(); }

} // namespace emulator
