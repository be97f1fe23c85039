#pragma once

// Stackful coroutines: the least that the emulator needs. On x86-64 a switch is a dozen instructions; elsewhere it is
// ucontext's.

#include <cstddef>

#if !defined(__x86_64__) || defined(EMULATOR_USES_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator {

/// A stack and where it was left. The main fiber's stack is the thread's own.
class Fiber {
public:
    static constexpr size_t stack_bytes = 128 * 1024;

    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// `stack` has stack_bytes. The next switch to this fiber calls `entry`, which never returns.
    void prepare(void* stack, void (*entry)());
    /// Leaves the running fiber, `from`, and goes on where this one was left.
    void resume_from(Fiber& from);
    /// To be called first thing in `entry`: the switch that led there is over.
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
