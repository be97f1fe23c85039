#pragma once

// Runs CUDA kernels on the host. A kernel is an ordinary function here. Each thread of a block is a fiber, and blocks
// run one after another. A seed gives the order of blocks and of runnable threads. What is undefined behaviour on a
// device, or merely hides a bug, ends the launch with an error that says where:
// - a barrier that not all threads of the block reach, or that they reach at different places of the source;
// - a warp operation whose mask names lanes that do not take part;
// - a launch that a device would refuse (no blocks, too many threads, more shared memory than the kernel opted in to);
// - writes outside an allocation, found at the end of the launch, when the memory is freed, or by `check_memory`.
// A build that reports every access (access_checker.h) also finds data races, reads of uninitialised memory, and
// accesses outside an allocation when they happen. A build with AddressSanitizer finds the last of these too.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <string>

namespace emulator {

struct Index3 {
    unsigned x = 0, y = 0, z = 0;
};

/// The built-in variables of the running thread.
extern Index3 thread_index, block_index;

/// Limits of the emulated device: an H100's.
constexpr unsigned max_block_threads = 1024;
constexpr size_t max_default_shared = 48 * 1024, max_shared = 227 * 1024;
/// What a test may change: how many multiprocessors there are, and how much shared memory a block can have.
struct Limits {
    int multiprocessors = 132;
    size_t shared = max_shared;
};
extern Limits limits;
constexpr unsigned warp_size = 32;
constexpr unsigned full_warp = 0xFFFFFFFFu;

struct Extent3 {
    unsigned x = 1, y = 1, z = 1;
    uint64_t count() const { return uint64_t{x} * y * z; }
};

extern Extent3 block_extent, grid_extent;

/// From now on threads and blocks run in the order that `seed` gives.
void shuffle(uint64_t seed);
/// The number of orders in which a test runs a kernel: several only with the access checker, which finds more in
/// several.
int orders();

/// Runs `thread` once for each thread of the grid. False when it failed; `last_error` says why.
bool run(const void* kernel, Extent3 grid, Extent3 block, size_t shared_bytes, const std::function<void()>& thread);
void allow_shared(const void* kernel, size_t bytes);

/// What went wrong in the last failing call.
const std::string& last_error();

/// Records the first failure of a launch and ends the launch. Does not return.
[[noreturn]] void fail_thread(const std::string& message);
bool in_kernel();
/// Fails the thread if the address is misaligned. Kernels call it because the compiler may split or merge accesses.
void check_alignment(const void* address, size_t alignment);
/// The same for a vector of `bytes` that the device accesses in pieces of `alignment` bytes. The kernel's next accesses
/// of it count as those.
void check_vector(const void* address, size_t alignment, size_t bytes);

// ---- what a thread calls ------------------------------------------------------------------------------------------

/// Waits for all threads of the block. Returns the sum of their `value`s.
int block_barrier(int value, std::source_location place);

enum class WarpOp : uint8_t { Sync, Shuffle, Ballot };

/// Waits until every lane of `mask` has arrived here. Then `values` [32] has the `value` of each.
void warp_exchange(WarpOp op, unsigned mask, uint64_t value, uint64_t* values, std::source_location place);

unsigned lane_index();
/// A mask of the lanes that this warp has.
unsigned existing_lanes();

/// This block's dynamic shared memory, 16-byte aligned; NaN patterns at the start of a block.
void* shared_memory();

// ---- device memory -------------------------------------------------------------------------------------------------

size_t device_bytes(); ///< of the emulated device
/// 256-byte aligned, filled with 0xFF (NaN; zeros where accesses are counted), between redzones; null when there is no
/// room.
void* allocate(size_t bytes);
/// False if `memory` was not allocated or a redzone was written.
bool release(void* memory);
/// False, with last_error() set, unless [memory, memory + bytes) lies in one allocation.
bool check_range(const void* memory, size_t bytes);
/// memset. Zeros of whole pages take no memory until they are touched.
void fill(void* memory, int value, size_t bytes);
/// False if any redzone was written.
bool check_memory();
size_t allocations();

// ---- for the access counter --------------------------------------------------------------------------------------

/// Is told what a launch does, and says which of its blocks run. While there is one, threads run in the order of their
/// numbers, so that the lanes of a warp follow each other.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void begin_launch(const void* kernel, Extent3 grid, Extent3 block, size_t shared_bytes) = 0;
    /// The next block to run; called until there is none, each time when the block before has ended.
    virtual std::optional<Index3> next_block() = 0;
    /// All lanes of the warp have arrived at one place: a warp operation of all of them, a barrier, or their end.
    virtual void warp_met(size_t warp) = 0;
    virtual void block_barrier() = 0;
    virtual void warp_operation() = 0;
    virtual void end_launch() = 0;
};

/// From now on; null for none. It must outlive the launches.
void observe(Observer* observer);

// ---- for the access checker -------------------------------------------------------------------------------------

struct Place {
    uint32_t block = 0;       ///< serial number of the running block, from 1
    uint32_t first_block = 0; ///< of this launch
    uint16_t thread = 0;      ///< inside the block
    uint16_t epoch = 0;       ///< block barriers passed
    uint16_t warp_epoch = 0;  ///< __syncwarp of the whole warp passed
};
Place here();
/// The thread, its block and the place of the launch, for messages.
std::string describe_thread();

} // namespace emulator
