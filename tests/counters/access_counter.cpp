#include "tests/counters/access_counter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>
#include <sys/mman.h>

#include "tests/cuda_on_cpu/access_checker.h"
#include "tests/cuda_on_cpu/device_memory.h"

extern "C" const char __executable_start; // the linker's

namespace scene::counters {
namespace {

using emulator::warp_size;

constexpr size_t sector_bytes = 32, page_bytes = 4096;
constexpr uint32_t block_kind = 7; ///< a basic block begins

/// An instruction's address and the kind of access: one number that orders as addresses do.
uint32_t site_of(const void* instruction, uint32_t kind) {
    return static_cast<uint32_t>(static_cast<const char*>(instruction) - &__executable_start) << 3 | kind;
}

/// What a lane did.
struct Event {
    uint32_t site;
    uint16_t depth; ///< of calls
    uint16_t bytes;
    uintptr_t address;
};

/// A vector that the lane accesses in pieces of `piece` bytes, whatever the compiler makes of it.
struct Vector {
    uintptr_t first = 0;
    uint32_t bytes = 0, piece = 0;
    std::array<uint64_t, 2> seen{}; ///< bytes loaded, and stored
};

struct Lane {
    static constexpr unsigned vectors_kept = 16;
    std::vector<Event> trace;
    std::array<Vector, vectors_kept> vectors; ///< the last ones, in a ring
    unsigned vectors_noted = 0;
    uint16_t depth = 0;
};

/// Zeros that take no memory until they are touched.
template <typename T> T* sparse_array(size_t count) {
    void* memory =
        mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return static_cast<T*>(memory);
}

/// Which bytes of device memory a launch has touched.
class TouchedBytes {
public:
    uint64_t count() const { return count_; }
    /// Of the range that was given to clear().
    uint64_t count_in_scratch() const { return scratch_count_; }

    void add(size_t offset, size_t bytes) {
        const size_t word = offset / 64, bit = offset % 64;
        const uint64_t all = bytes >= 64 ? ~uint64_t{0} : (uint64_t{1} << bytes) - 1;
        add_bits(word, all << bit);
        if (bit + bytes > 64) add_bits(word + 1, all >> (64 - bit));
    }
    void clear(emulator::Range scratch) {
        scratch_ = scratch;
        scratch_count_ = 0;
        for (const size_t page : pages_) {
            std::memset(bits_ + page * words_of_page, 0, words_of_page * sizeof(uint64_t));
            known_[page] = 0;
        }
        pages_.clear();
        count_ = 0;
    }

private:
    static constexpr size_t words_of_page = page_bytes / 64;

    void add_bits(size_t word, uint64_t bits) {
        const uint64_t before = bits_[word], fresh = bits & ~before;
        if (fresh == 0) return;
        const size_t page = word / words_of_page;
        if (!known_[page]) {
            known_[page] = 1;
            pages_.push_back(page);
        }
        bits_[word] = before | bits;
        const auto bytes = static_cast<uint64_t>(std::popcount(fresh));
        count_ += bytes;
        if (scratch_.contains(emulator::device_range().first + word * 64)) scratch_count_ += bytes;
    }

    uint64_t* bits_ = sparse_array<uint64_t>(emulator::device_bytes() / 64);
    uint8_t* known_ = sparse_array<uint8_t>(emulator::device_bytes() / page_bytes);
    std::vector<size_t> pages_;
    uint64_t count_ = 0, scratch_count_ = 0;
    emulator::Range scratch_;
};

/// What was counted after so many slices of the grid.
struct Snapshot {
    uint64_t slices = 0;
    std::array<double, 7> totals{};
    std::vector<AccessCounts> instructions;
};

constexpr std::array<double AccessCounts::*, 7> fields = {
    &AccessCounts::requests,      &AccessCounts::lanes,      &AccessCounts::bytes,           &AccessCounts::sectors,
    &AccessCounts::least_sectors, &AccessCounts::wavefronts, &AccessCounts::least_wavefronts};

bool counting = false;
std::vector<Lane> lanes(emulator::max_block_threads);
uint8_t* const noise_pending = sparse_array<uint8_t>(emulator::device_bytes() / page_bytes);

Lane& running_lane() {
    const emulator::Extent3& extent = emulator::block_extent;
    const emulator::Index3& at = emulator::thread_index;
    return lanes[at.x + extent.x * (at.y + size_t{extent.y} * at.z)];
}

void make_noise(size_t page) {
    noise_pending[page] = 0;
    // Each half is of a size from 0.5 to 2, as is the upper half of a float.
    uint64_t state = page * 0x9E3779B97F4A7C15u + 1;
    auto* to = reinterpret_cast<uint16_t*>(emulator::device_range().first + page * page_bytes);
    for (size_t i = 0; i < page_bytes / 2; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        to[i] = static_cast<uint16_t>(0x3800 | (state >> 52 & 0x07FF) | (state >> 63 << 15));
    }
}

class Counting final : public emulator::Observer {
public:
    void set_limits(CountingLimits limits) { limits_ = limits; }
    void set_scratch(emulator::Range scratch) { scratch_ = scratch; }
    std::vector<LaunchCounts> take() { return std::exchange(launches_, {}); }

    void begin_launch(const void* kernel, emulator::Extent3 grid, emulator::Extent3 block,
                      size_t shared_bytes) override {
        launch_ = {};
        launch_.kernel = kernel;
        launch_.grid = grid;
        launch_.block = block;
        launch_.shared_bytes = shared_bytes;
        if (!emulator::ranges.empty()) launch_.op = emulator::ranges.back();
        const std::array<unsigned, 3> extents = {grid.x, grid.y, grid.z};
        axis_ = static_cast<size_t>(std::max_element(extents.begin(), extents.end()) - extents.begin());
        slices_ = extents[axis_];
        slice_ = within_ = 0;
        accesses_ = 0;
        snapshots_.clear();
        read_.clear(scratch_);
        written_.clear(scratch_);
        for (const Instruction& known : instructions_) index_[known.site] = 0;
        instructions_.clear();
        totals_ = {};
    }

    std::optional<emulator::Index3> next_block() override {
        for (Lane& lane : lanes) lane.depth = 0;
        const emulator::Extent3& grid = launch_.grid;
        const std::array<unsigned, 3> extents = {grid.x, grid.y, grid.z};
        const uint64_t blocks_of_slice = grid.count() / slices_;
        if (within_ == blocks_of_slice) {
            within_ = 0;
            ++slice_;
            if (end_slice()) {
                counting = false;
                return std::nullopt;
            }
        }
        std::array<unsigned, 3> at{};
        uint64_t rest = within_++;
        for (size_t axis = 0; axis < 3; ++axis) {
            if (axis == axis_) continue;
            at[axis] = static_cast<unsigned>(rest % extents[axis]);
            rest /= extents[axis];
        }
        at[axis_] = static_cast<unsigned>(slice_);
        ++launch_.counted_blocks;
        counting = true;
        return emulator::Index3{at[0], at[1], at[2]};
    }

    void warp_met(size_t warp) override {
        merge(warp);
        const size_t first = warp * warp_size;
        for (size_t i = first; i < first + warp_size; ++i) {
            lanes[i].trace.clear();
            lanes[i].vectors_noted = 0;
        }
    }
    void block_barrier() override { totals_[barriers] += static_cast<double>((launch_.block.count() + 31) / 32); }
    void warp_operation() override { totals_[warp_operations] += 1; }

    void end_launch() override {
        counting = false;
        for (Lane& lane : lanes) lane.trace.clear();
        if (snapshots_.empty()) return; // it failed
        scale();
        launches_.push_back(std::move(launch_));
    }

private:
    enum Total : size_t {
        barriers,
        warp_operations,
        bytes_read,
        bytes_written,
        bytes_of_scratch,
        warp_blocks,
        thread_blocks
    };
    struct Instruction {
        uint32_t site = 0;
        AccessCounts counts;
    };

    /// True after the last slice.
    bool end_slice() {
        const bool last = slice_ == slices_;
        const bool kept =
            slice_ < 4 || std::has_single_bit(slice_) || (slice_ % 3 == 0 && std::has_single_bit(slice_ / 3));
        if (!last && !kept) return false;
        Snapshot now{slice_, totals_, {}};
        now.totals[bytes_read] = static_cast<double>(read_.count());
        now.totals[bytes_written] = static_cast<double>(written_.count());
        now.totals[bytes_of_scratch] = static_cast<double>(read_.count_in_scratch() + written_.count_in_scratch());
        for (const Instruction& instruction : instructions_) now.instructions.push_back(instruction.counts);
        snapshots_.push_back(std::move(now));
        return last || (slice_ >= limits_.least_slices && accesses_ >= limits_.accesses);
    }

    /// Every counter is taken for an affine function of the number of slices.
    void scale() {
        const Snapshot& end = snapshots_.back();
        const bool whole = end.slices == slices_;
        // Half of the slices, and about three quarters for the check.
        const Snapshot& half = *std::find_if(snapshots_.begin(), snapshots_.end(),
                                             [&](const Snapshot& s) { return 2 * s.slices >= end.slices; });
        const Snapshot& check = snapshots_[snapshots_.size() - (snapshots_.size() > 1 ? 2 : 1)];
        const auto through = [&](double a, double b, uint64_t at_a, uint64_t at_b) {
            return b + (b - a) / static_cast<double>(at_b - at_a) * static_cast<double>(slices_ - at_b);
        };
        const auto scaled = [&](double at_half, double at_check, double at_end, double large) {
            if (whole) return at_end;
            const double value = through(at_half, at_end, half.slices, end.slices);
            if (check.slices > half.slices && check.slices < end.slices) {
                const double other = through(at_half, at_check, half.slices, check.slices);
                if (std::abs(value) > large)
                    launch_.scaling_error = std::max(launch_.scaling_error, std::abs(other / value - 1));
            }
            return value;
        };
        std::array<double, 7> totals{};
        for (size_t i = 0; i < totals.size(); ++i)
            totals[i] = scaled(half.totals[i], check.totals[i], end.totals[i], 0);
        launch_.barriers = totals[barriers];
        launch_.warp_operations = totals[warp_operations];
        launch_.distinct_bytes_read = totals[bytes_read];
        launch_.distinct_bytes_written = totals[bytes_written];
        launch_.distinct_bytes_of_scratch = totals[bytes_of_scratch];
        launch_.warp_blocks = totals[warp_blocks];
        launch_.thread_blocks = totals[thread_blocks];
        double most = 0; // requests of one instruction
        for (const Instruction& instruction : instructions_) most = std::max(most, instruction.counts.requests);
        const auto scale_of_grid = static_cast<double>(slices_) / static_cast<double>(end.slices);
        for (size_t i = 0; i < instructions_.size(); ++i) {
            const auto at = [&](const Snapshot& s, double AccessCounts::*field) {
                return i < s.instructions.size() ? s.instructions[i].*field : 0;
            };
            InstructionCounts out;
            out.instruction = &__executable_start + (instructions_[i].site >> 3);
            out.kind = static_cast<AccessKind>(instructions_[i].site & 7);
            for (double AccessCounts::*field : fields)
                out.counts.*field =
                    scaled(at(half, field), at(check, field), at(end, field), most * scale_of_grid / 20);
            launch_.instructions.push_back(out);
        }
    }

    // ---- the instructions of a warp ------------------------------------------------------------------------------

    /// Merges the lanes' traces. The next instruction is that of the deepest call, and there the one with the lowest
    /// address: lanes that are further on wait for it. The compiler lays blocks out in the order of the source, so that
    /// lanes meet again behind a branch, and at the end of a loop's turn.
    void merge(size_t warp) {
        std::array<const Event*, warp_size> next{}, end{};
        std::array<uint64_t, warp_size> key{};
        constexpr uint64_t ended = ~uint64_t{0};
        const auto key_of = [](const Event* event) { return uint64_t{0xFFFFu - event->depth} << 32 | event->site; };
        for (unsigned i = 0; i < warp_size; ++i) {
            const std::vector<Event>& trace = lanes[warp * warp_size + i].trace;
            next[i] = trace.data();
            end[i] = trace.data() + trace.size();
            key[i] = next[i] == end[i] ? ended : key_of(next[i]);
        }
        std::array<const Event*, warp_size> together{};
        for (;;) {
            uint64_t lowest = key[0];
            for (unsigned i = 1; i < warp_size; ++i) lowest = std::min(lowest, key[i]);
            if (lowest == ended) return;
            size_t count = 0;
            for (unsigned i = 0; i < warp_size; ++i) {
                if (key[i] != lowest) continue;
                together[i] = next[i];
                ++count;
                ++next[i];
                key[i] = next[i] == end[i] ? ended : key_of(next[i]);
            }
            issue(static_cast<uint32_t>(lowest), together, count);
            together.fill(nullptr);
        }
    }

    /// One instruction. `lane_events` has null for lanes that do not take part.
    void issue(uint32_t site, const std::array<const Event*, warp_size>& lane_events, size_t count) {
        if ((site & 7) == block_kind) {
            totals_[warp_blocks] += 1;
            totals_[thread_blocks] += static_cast<double>(count);
            return;
        }
        accesses_ += count;
        uint32_t& index = index_[site];
        if (index == 0) {
            instructions_.push_back({site, {}});
            index = static_cast<uint32_t>(instructions_.size());
        }
        AccessCounts& counts = instructions_[index - 1].counts;
        counts.requests += 1;
        counts.lanes += static_cast<double>(count);
        for (const Event* event : lane_events)
            if (event) counts.bytes += event->bytes;
        const auto kind = static_cast<AccessKind>(site & 7);
        if (kind >= AccessKind::SharedLoad) {
            add_shared(counts, lane_events);
        } else {
            add_global(counts, lane_events, kind);
        }
    }

    /// Sorts the spans of memory and returns the distinct bytes in them.
    struct Span {
        uintptr_t first, end;
        bool operator<(const Span& other) const { return first < other.first; }
    };
    void add_global(AccessCounts& counts, const std::array<const Event*, warp_size>& lane_events, AccessKind kind) {
        std::array<Span, warp_size> spans;
        size_t count = 0;
        bool sorted = true;
        const uintptr_t base = reinterpret_cast<uintptr_t>(emulator::device_range().first);
        for (const Event* event : lane_events) {
            if (!event) continue;
            const Span span{event->address - base, event->address - base + event->bytes};
            if (count > 0 && span.first == spans[count - 1].first && span.end == spans[count - 1].end) continue;
            if (count > 0 && span.first < spans[count - 1].first) sorted = false;
            spans[count++] = span;
            if (kind != AccessKind::GlobalStore) read_.add(span.first, event->bytes);
            if (kind != AccessKind::GlobalLoad) written_.add(span.first, event->bytes);
        }
        if (!sorted) std::sort(spans.begin(), spans.begin() + count);
        uintptr_t distinct = 0, end = 0, sectors = 0, end_sector = 0;
        for (size_t i = 0; i < count; ++i) {
            const uintptr_t first = std::max(spans[i].first, end);
            if (spans[i].end > first) distinct += spans[i].end - first, end = spans[i].end;
            const uintptr_t first_sector = std::max(spans[i].first / sector_bytes, end_sector);
            const uintptr_t last = (spans[i].end + sector_bytes - 1) / sector_bytes;
            if (last > first_sector) sectors += last - first_sector, end_sector = last;
        }
        counts.sectors += static_cast<double>(sectors);
        counts.least_sectors += static_cast<double>((distinct + sector_bytes - 1) / sector_bytes);
    }

    /// 32 banks of 4 bytes, each of which serves one word a pass; a word that several lanes want is read once. Accesses
    /// of 8 bytes are served half a warp at a time, those of 16 bytes a quarter.
    void add_shared(AccessCounts& counts, const std::array<const Event*, warp_size>& lane_events) {
        constexpr size_t banks = 32, word_bytes = 4;
        unsigned widest = 1;
        for (const Event* event : lane_events)
            if (event) widest = std::max<unsigned>(widest, event->bytes);
        const size_t group = widest <= 4 ? warp_size : widest <= 8 ? warp_size / 2 : warp_size / 4;
        const uintptr_t base = reinterpret_cast<uintptr_t>(emulator::shared_range().first);
        for (size_t first = 0; first < warp_size; first += group) {
            std::array<std::array<uint32_t, 4 * 32>, banks> words; // of a bank
            std::array<uint32_t, banks> wanted{};
            size_t distinct = 0;
            uint32_t passes = 0;
            for (size_t i = first; i < first + group; ++i) {
                const Event* event = lane_events[i];
                if (!event) continue;
                const uintptr_t at = event->address - base;
                for (uintptr_t word = at / word_bytes; word * word_bytes < at + event->bytes; ++word) {
                    auto& of_bank = words[word % banks];
                    uint32_t& known = wanted[word % banks];
                    if (std::find(of_bank.begin(), of_bank.begin() + known, static_cast<uint32_t>(word)) !=
                        of_bank.begin() + known)
                        continue;
                    of_bank[known++] = static_cast<uint32_t>(word);
                    passes = std::max(passes, known);
                    ++distinct;
                }
            }
            counts.wavefronts += passes;
            counts.least_wavefronts += static_cast<double>((distinct + banks - 1) / banks);
        }
    }

    CountingLimits limits_;
    std::vector<LaunchCounts> launches_;
    LaunchCounts launch_;
    size_t axis_ = 0;
    uint64_t slices_ = 1, slice_ = 0, within_ = 0, accesses_ = 0;
    std::vector<Snapshot> snapshots_;
    std::array<double, 7> totals_{};
    std::vector<Instruction> instructions_;
    uint32_t* index_ = sparse_array<uint32_t>(size_t{1} << 32); ///< by site: 1 + the index in instructions_
    TouchedBytes read_, written_;
    emulator::Range scratch_;
};

Counting& the_counting() {
    static Counting counting;
    return counting;
}

void note(const void* address, size_t bytes, emulator::Access access, const void* instruction) {
    if (!counting) return;
    const bool shared = emulator::shared_range().contains(address);
    if (!shared && !emulator::device_range().contains(address))
        return; // the thread's own: registers, as far as is known
    if (!shared) {
        const size_t page = emulator::device_range().offset(address) / page_bytes;
        if (noise_pending[page]) make_noise(page);
    }
    Lane& lane = running_lane();
    auto at = reinterpret_cast<uintptr_t>(address);
    const uint32_t site = site_of(instruction, static_cast<uint32_t>(access) + (shared ? 3 : 0));
    const unsigned kept = std::min(lane.vectors_noted, Lane::vectors_kept);
    for (unsigned back = 1; access != emulator::Access::Atomic && back <= kept; ++back) {
        Vector& vector = lane.vectors[(lane.vectors_noted - back) % Lane::vectors_kept];
        const uintptr_t offset = at - vector.first;
        if (offset >= vector.bytes || offset + bytes > vector.bytes) continue;
        uint64_t& seen = vector.seen[access == emulator::Access::Read ? 0 : 1];
        const uint64_t these = ((uint64_t{1} << bytes) - 1) << offset;
        const uintptr_t piece = offset / vector.piece * vector.piece;
        const uint64_t of_piece = ((uint64_t{1} << vector.piece) - 1) << piece;
        const bool again = seen & these, begun = seen & of_piece;
        seen = (again ? seen & ~of_piece : seen) | these;
        if (begun && !again) return;
        at = vector.first + piece;
        bytes = vector.piece;
        break;
    }
    lane.trace.push_back({site, lane.depth, static_cast<uint16_t>(bytes), at});
}

/// memcpy and its like, in pieces of at most 16 bytes.
void note_range(const void* first, size_t bytes, emulator::Access access, const void* instruction) {
    const char* at = static_cast<const char*>(first);
    for (size_t piece = 0; bytes > 0; at += piece, bytes -= piece) {
        piece = std::min<size_t>(16, bytes);
        note(at, piece, access, instruction);
    }
}

} // namespace

AccessCounter::AccessCounter(CountingLimits limits) {
    the_counting().set_limits(limits);
    (void)the_counting().take();
    emulator::observe(&the_counting());
}
AccessCounter::~AccessCounter() { emulator::observe(nullptr); }
std::vector<LaunchCounts> AccessCounter::take() { return the_counting().take(); }
void AccessCounter::set_scratch(void* first, size_t bytes) {
    the_counting().set_scratch({static_cast<char*>(first), bytes});
}

void fill_with_noise_when_touched(const void* first, size_t bytes) {
    const size_t offset = emulator::device_range().offset(first);
    const size_t begin = (offset + page_bytes - 1) / page_bytes, end = (offset + bytes) / page_bytes;
    if (end > begin) std::memset(noise_pending + begin, 1, end - begin);
}

} // namespace scene::counters

// ---- what the emulator calls -------------------------------------------------------------------------------------

namespace emulator {

bool checks_accesses() { return false; }
void note_access(const void* address, size_t bytes, Access access, const void* instruction) {
    scene::counters::note(address, bytes, access, instruction);
}
void note_vector(const void* address, size_t piece, size_t bytes) {
    using namespace scene::counters;
    if (!counting || bytes > 64 || (!shared_range().contains(address) && !device_range().contains(address))) return;
    Lane& lane = running_lane();
    lane.vectors[lane.vectors_noted++ % Lane::vectors_kept] = {
        reinterpret_cast<uintptr_t>(address), static_cast<uint32_t>(bytes), static_cast<uint32_t>(piece), {}};
}
void mark_allocated(const void*, size_t) {}
void mark_free(const void*, size_t) {}
/// The host wrote there, which noise would undo.
void mark_written(const void* memory, size_t bytes) {
    using namespace scene::counters;
    const size_t offset = device_range().offset(memory), first = offset / page_bytes;
    if (bytes > 0) std::memset(noise_pending + first, 0, (offset + bytes - 1) / page_bytes - first + 1);
}
void set_shared_bytes(size_t) {}

} // namespace emulator

// ---- what the compiler inserts; access_checker.cpp says where it is documented -----------------------------------

using emulator::Access;
using scene::counters::note;
using scene::counters::note_range;

#define REPORTS(size)                                                                                                  \
    void __tsan_read##size(void* a) { note(a, size, Access::Read, __builtin_return_address(0)); }                      \
    void __tsan_write##size(void* a) { note(a, size, Access::Write, __builtin_return_address(0)); }                    \
    void __tsan_unaligned_read##size(void* a) { note(a, size, Access::Read, __builtin_return_address(0)); }            \
    void __tsan_unaligned_write##size(void* a) { note(a, size, Access::Write, __builtin_return_address(0)); }

#include "tests/cuda_on_cpu/reported_ranges.h"

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {
    if (scene::counters::counting) ++scene::counters::running_lane().depth;
}
void __tsan_func_exit(void*) {
    if (scene::counters::counting) --scene::counters::running_lane().depth;
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
REPORTS(1)
REPORTS(2)
REPORTS(4)
REPORTS(8)
REPORTS(16)
char __tsan_atomic8_load(const volatile char* a, int) { return __atomic_load_n(a, __ATOMIC_SEQ_CST); }

void __sanitizer_cov_trace_pc() {
    using namespace scene::counters;
    if (!counting) return;
    Lane& lane = running_lane();
    lane.trace.push_back({site_of(__builtin_return_address(0), block_kind), lane.depth, 0, 0});
}

} // extern "C"
