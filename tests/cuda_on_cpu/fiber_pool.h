#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tests/cuda_on_cpu/fiber.h"

namespace emulator {

/// Fibers with their stacks, each made when it is first needed.
class FiberPool {
public:
    explicit FiberPool(size_t most) : most_(most) {}

    /// One that is not in use; `entry` is what a new one begins with, the same at every call.
    Fiber* take(void (*entry)());
    void give_back(Fiber* fiber) { free_.push_back(fiber); }
    /// After a failure: whatever the fibers were doing is forgotten.
    void forget();

private:
    Fiber* make(void (*entry)());

    size_t most_;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> free_;
    char* stacks_ = nullptr;
};

} // namespace emulator
