#include "tests/cuda_on_cpu/emulator.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <vector>

#include "tests/cuda_on_cpu/access_checker.h"
#include "tests/cuda_on_cpu/device_memory.h"
#include "tests/cuda_on_cpu/fiber_pool.h"

namespace emulator {

Index3 thread_index, block_index;
Extent3 block_extent, grid_extent;
Limits limits;

namespace {

enum class State : uint8_t { Fresh, Runnable, Running, Waiting, Exited };

struct Thread {
    State state = State::Fresh;
    Fiber* fiber = nullptr;
    uint64_t* warp_values = nullptr; ///< where a warp operation leaves its result
    std::source_location place;      ///< of the operation waited for
};

/// Lanes of one warp that wait for each other.
struct Rendezvous {
    WarpOp op;
    unsigned mask, arrived;
    std::source_location place;
    uint64_t values[warp_size];
};

struct Warp {
    std::vector<Rendezvous> waiting;
    uint16_t epoch = 0;
    unsigned existing = 0, exited = 0;
};

bool same_place(const std::source_location& a, const std::source_location& b) {
    return a.line() == b.line() && a.column() == b.column() &&
           (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

std::string text_of(const std::source_location& place) {
    return std::string(place.file_name()) + ":" + std::to_string(place.line());
}

std::string text_of(const Index3& i) {
    return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

/// splitmix64
struct Random {
    uint64_t state = 0;
    uint64_t next() {
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    size_t below(size_t count) { return static_cast<size_t>((next() >> 32) * count >> 32); }
};

// The state of the running launch.
Random random_order;
std::string error;
bool running = false, failed = false;
const std::function<void()>* body = nullptr;
Fiber main_fiber;
std::vector<Thread> threads;
std::vector<Warp> warps;
std::deque<uint16_t> runnable;
Observer* observer = nullptr;
size_t current = 0, exited = 0, at_barrier = 0;
std::source_location barrier_place;
int barrier_sum = 0, barrier_result[2] = {0, 0};
uint16_t epoch = 0;
uint32_t block_serial = 0, launch_first_block = 1;
std::map<const void*, size_t> shared_limits;

FiberPool pool(max_block_threads);

Warp& warp_of(size_t thread) { return warps[thread / warp_size]; }

void activate(size_t thread) {
    current = thread;
    threads[thread].state = State::Running;
    const auto linear = static_cast<unsigned>(thread);
    thread_index = {linear % block_extent.x, linear / block_extent.x % block_extent.y,
                    linear / (block_extent.x * block_extent.y)};
}

void make_runnable(size_t thread) {
    threads[thread].state = State::Runnable;
    runnable.push_back(static_cast<uint16_t>(thread));
}

/// Takes a runnable thread at random, or the first while there is an observer; fresh ones are runnable.
size_t choose() {
    if (observer) {
        const size_t first = runnable.front();
        runnable.pop_front();
        return first;
    }
    const size_t at = random_order.below(runnable.size());
    const size_t thread = runnable[at];
    runnable[at] = runnable.back();
    runnable.pop_back();
    return thread;
}

void fiber_main();

/// Switches from the fiber `from` to `thread`.
void go_to(size_t thread, Fiber& from) {
    Fiber*& fiber = threads[thread].fiber;
    if (!fiber) fiber = pool.take(fiber_main);
    activate(thread);
    if (fiber != &from) fiber->resume_from(from);
}

[[noreturn]] void fail_deadlock() {
    for (size_t i = 0; i < threads.size(); ++i) {
        if (threads[i].state != State::Waiting) continue;
        activate(i);
        fail_thread("waits for ever at " + text_of(threads[i].place));
    }
    fail_thread("nothing can run");
}

/// The running thread waits; others run until it is made runnable and chosen.
void suspend() {
    Fiber& mine = *threads[current].fiber;
    if (runnable.empty()) fail_deadlock();
    const size_t self = current;
    go_to(choose(), mine);
    activate(self);
}

void exit_thread() {
    threads[current].state = State::Exited;
    ++exited;
    Warp& warp = warp_of(current);
    const unsigned bit = 1u << (current % warp_size);
    warp.exited |= bit;
    if (at_barrier > 0) fail_thread("has ended while others wait at the barrier at " + text_of(barrier_place));
    for (const Rendezvous& meeting : warp.waiting)
        if (meeting.mask & bit)
            fail_thread("has ended, but a warp operation at " + text_of(meeting.place) + " names it");
    if (observer && warp.exited == warp.existing) observer->warp_met(current / warp_size);
}

void fiber_main() {
    Fiber::arrived();
    for (;;) {
        (*body)();
        Fiber& mine = *threads[current].fiber;
        exit_thread();
        if (runnable.empty()) {
            if (exited < threads.size()) fail_deadlock();
            pool.give_back(&mine);
            main_fiber.resume_from(mine);
            continue;
        }
        const size_t next = choose();
        if (!threads[next].fiber) {
            threads[next].fiber = &mine;
            activate(next);
        } else {
            pool.give_back(&mine);
            go_to(next, mine);
        }
    }
}

void run_block(size_t count, size_t shared_bytes) {
    ++block_serial;
    threads.assign(count, Thread{});
    warps.assign((count + warp_size - 1) / warp_size, Warp{});
    runnable.clear();
    for (size_t i = 0; i < count; ++i) {
        runnable.push_back(static_cast<uint16_t>(i));
        warp_of(i).existing |= 1u << (i % warp_size);
    }
    exited = at_barrier = 0;
    barrier_sum = 0;
    epoch = 0;
    prepare_shared(shared_bytes);
    go_to(choose(), main_fiber);
}

void run_in_random_order(size_t shared_bytes) {
    std::vector<uint64_t> order(grid_extent.count());
    std::iota(order.begin(), order.end(), uint64_t{0});
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_order.below(i)]);
    for (const uint64_t i : order) {
        block_index = {static_cast<unsigned>(i % grid_extent.x),
                       static_cast<unsigned>(i / grid_extent.x % grid_extent.y),
                       static_cast<unsigned>(i / grid_extent.x / grid_extent.y)};
        run_block(block_extent.count(), shared_bytes);
        if (failed) break;
    }
}

void run_observed(const void* kernel, size_t shared_bytes) {
    observer->begin_launch(kernel, grid_extent, block_extent, shared_bytes);
    while (const std::optional<Index3> block = observer->next_block()) {
        block_index = *block;
        run_block(block_extent.count(), shared_bytes);
        if (failed) break;
    }
    observer->end_launch();
}

bool refuse(const std::string& why) {
    error = why;
    return false;
}

} // namespace

void observe(Observer* of) { observer = of; }
int orders() { return checks_accesses() ? 3 : 1; }

void shuffle(uint64_t seed) { random_order.state = seed * 0x2545F4914F6CDD1Du + 1; }
const std::string& last_error() { return error; }
void set_error(const std::string& message) { error = message; }
bool in_kernel() { return running; }
unsigned lane_index() { return static_cast<unsigned>(current % warp_size); }
unsigned existing_lanes() { return warp_of(current).existing; }
void allow_shared(const void* kernel, size_t bytes) { shared_limits[kernel] = bytes; }
std::string describe_thread() { return "block " + text_of(block_index) + ", thread " + text_of(thread_index); }

Place here() {
    return {block_serial, launch_first_block, static_cast<uint16_t>(current), epoch, warp_of(current).epoch};
}

void fail_thread(const std::string& message) {
    if (!failed) error = describe_thread() + " " + message;
    failed = true;
    Fiber abandoned;
    main_fiber.resume_from(threads[current].fiber ? *threads[current].fiber : abandoned);
    std::abort();
}

void check_alignment(const void* address, size_t alignment) {
    if (reinterpret_cast<uintptr_t>(address) % alignment != 0)
        fail_thread("makes a misaligned access of " + std::to_string(alignment) + " bytes");
}

void check_vector(const void* address, size_t alignment, size_t bytes) {
    check_alignment(address, alignment);
    note_vector(address, alignment, bytes);
}

bool run(const void* kernel, Extent3 grid, Extent3 block, size_t shared_bytes, const std::function<void()>& thread) {
    if (running) std::abort();
    if (grid.count() == 0) return refuse("a grid without blocks");
    if (grid.y > 65535 || grid.z > 65535 || grid.x > 0x7FFFFFFFu) return refuse("a grid of too many blocks");
    if (block.count() == 0 || block.count() > max_block_threads || block.z > 64)
        return refuse("a block of " + std::to_string(block.count()) + " threads");
    const size_t allowed = shared_limits.count(kernel) ? shared_limits[kernel] : max_default_shared;
    if (shared_bytes > allowed || shared_bytes > limits.shared)
        return refuse("a block with " + std::to_string(shared_bytes) + " bytes of shared memory");

    body = &thread;
    grid_extent = grid;
    block_extent = block;
    launch_first_block = block_serial + 1;
    running = true;
    failed = false;
    if (observer) {
        run_observed(kernel, shared_bytes);
    } else {
        run_in_random_order(shared_bytes);
    }
    running = false;
    if (failed) {
        pool.forget();
        return false;
    }
    return check_memory();
}

int block_barrier(int value, std::source_location place) {
    Thread& self = threads[current];
    if (exited > 0) fail_thread("waits at the barrier at " + text_of(place) + ", but other threads have ended");
    if (at_barrier > 0 && !same_place(place, barrier_place))
        fail_thread("waits at the barrier at " + text_of(place) + ", others at " + text_of(barrier_place));
    barrier_place = place;
    barrier_sum += value;
    const unsigned slot = epoch % 2;
    if (++at_barrier == threads.size()) {
        barrier_result[slot] = barrier_sum;
        barrier_sum = 0;
        at_barrier = 0;
        ++epoch;
        if (observer) {
            for (size_t warp = 0; warp < warps.size(); ++warp) observer->warp_met(warp);
            observer->block_barrier();
        }
        for (size_t i = 0; i < threads.size(); ++i) make_runnable(i);
    } else {
        self.state = State::Waiting;
        self.place = place;
    }
    suspend();
    return barrier_result[slot];
}

void warp_exchange(WarpOp op, unsigned mask, uint64_t value, uint64_t* values, std::source_location place) {
    Thread& self = threads[current];
    Warp& warp = warp_of(current);
    const unsigned lane = lane_index(), bit = 1u << lane;
    if (!(mask & bit)) fail_thread("is not in the mask of the warp operation at " + text_of(place));
    if (mask & ~warp.existing) fail_thread("names lanes that the warp lacks in the mask at " + text_of(place));
    if (mask & warp.exited) fail_thread("names lanes that have ended in the mask at " + text_of(place));

    size_t at = 0;
    while (at < warp.waiting.size() &&
           !(warp.waiting[at].op == op && warp.waiting[at].mask == mask && same_place(warp.waiting[at].place, place)))
        ++at;
    if (at == warp.waiting.size()) {
        warp.waiting.push_back({op, mask, 0, place, {}});
        std::memset(warp.waiting[at].values, 0xFF, sizeof warp.waiting[at].values);
    }
    Rendezvous& meeting = warp.waiting[at];
    meeting.arrived |= bit;
    meeting.values[lane] = value;
    self.warp_values = values;
    if (meeting.arrived == mask) {
        const size_t first = current - lane;
        if (observer) {
            if (mask == (warp.existing & ~warp.exited)) observer->warp_met(current / warp_size);
            observer->warp_operation();
        }
        for (unsigned i = 0; i < warp_size; ++i) {
            if (!(mask >> i & 1)) continue;
            if (threads[first + i].warp_values)
                std::memcpy(threads[first + i].warp_values, meeting.values, sizeof meeting.values);
            make_runnable(first + i);
        }
        if (op == WarpOp::Sync && mask == warp.existing) ++warp.epoch;
        warp.waiting.erase(warp.waiting.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
        self.state = State::Waiting;
        self.place = place;
    }
    suspend();
}

} // namespace emulator
