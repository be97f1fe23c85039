#include "tests/cuda_on_cpu/fiber_pool.h"

#include <cstdlib>

#include <sys/mman.h>

namespace emulator {

namespace {

/// From one stack to the next. With a power of two the tops of all stacks would share a few cache sets.
constexpr size_t stack_stride = Fiber::stack_bytes + 9 * 64;

} // namespace

Fiber* FiberPool::take(void (*entry)()) {
    if (free_.empty()) return make(entry);
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
}

Fiber* FiberPool::make(void (*entry)()) {
    if (!stacks_) {
        stacks_ = static_cast<char*>(mmap(nullptr, most_ * stack_stride, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (stacks_ == MAP_FAILED) std::abort();
    }
    fibers_.push_back(std::make_unique<Fiber>());
    fibers_.back()->prepare(stacks_ + (fibers_.size() - 1) * stack_stride, entry);
    return fibers_.back().get();
}

void FiberPool::forget() {
    fibers_.clear();
    free_.clear();
}

} // namespace emulator
