#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tests/cuda_on_cpu/fiber.h"

namespace emulator {

/// Fibers with their stacks, at most `most`. Each is made when it is first needed.
class FiberPool {
public:
    explicit FiberPool(size_t most) : most_(most) {}

    /// A fiber that is not in use. A new one begins with `entry`, which must be the same in every call.
    Fiber* take(void (*entry)());
    void give_back(Fiber* fiber) { free_.push_back(fiber); }
    /// After a failure: abandons all fibers, wherever they are.
    void forget();

private:
    Fiber* make(void (*entry)());

    size_t most_;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> free_;
    char* stacks_ = nullptr;
};

} // namespace emulator
