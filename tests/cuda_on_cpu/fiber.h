#pragma once

// Stackful coroutines for the emulator. On x86-64 a switch is some fifteen instructions; elsewhere it is ucontext's.

#include <cstddef>

#if !defined(__x86_64__) || defined(EMULATOR_USES_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator {

/// A stack and the point at which it was left. The main fiber has the thread's own stack.
class Fiber {
public:
    static constexpr size_t stack_bytes = 128 * 1024;

    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// `stack` has stack_bytes. The next switch to this fiber calls `entry`, which never returns.
    void prepare(void* stack, void (*entry)());
    /// Leaves the running fiber, `from`, and continues where this one was left.
    void resume_from(Fiber& from);
    /// `entry` must call it first: it completes the switch to a new fiber.
    static void arrived();

private:
    void* stack_ = nullptr;
    void* sanitizer_state_ = nullptr;
#if defined(__x86_64__) && !defined(EMULATOR_USES_UCONTEXT)
    void* stack_pointer_ = nullptr;
#else
    ucontext_t context_;
#endif
};

} // namespace emulator
