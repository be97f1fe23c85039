#include "tests/cuda_on_cpu/fiber.h"

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/// A thread that fails is abandoned with everything that it owns. That is no leak to report.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace emulator {

#if defined(__x86_64__) && !defined(EMULATOR_USES_UCONTEXT)

// Saves the callee-saved registers on the stack that is left, and restores them from the one that is entered.
asm(R"(
    .text
    .type emulator_switch_stack, @function
emulator_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_switch_stack, .-emulator_switch_stack
)");
extern "C" void emulator_switch_stack(void** left, void* entered);

#endif

namespace {

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer must know of each switch. It tells where the main stack is.
const void* main_bottom = nullptr;
size_t main_bytes = 0;

void leave(void** state, const void* bottom, size_t bytes) { __sanitizer_start_switch_fiber(state, bottom, bytes); }
void enter(void* state) {
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(state, &bottom, &bytes);
    if (!main_bottom) main_bottom = bottom, main_bytes = bytes;
}
void clean(void* stack) { __asan_unpoison_memory_region(stack, Fiber::stack_bytes); }
#else
const void* const main_bottom = nullptr;
const size_t main_bytes = 0;
void leave(void**, const void*, size_t) {}
void enter(void*) {}
void clean(void*) {}
#endif

} // namespace

void Fiber::prepare(void* stack, void (*entry)()) {
    stack_ = stack;
    sanitizer_state_ = nullptr;
    clean(stack);
#if defined(__x86_64__) && !defined(EMULATOR_USES_UCONTEXT)
    // As emulator_switch_stack expects it: six saved registers, then the address to return to. The null above makes the
    // stack pointer 8 modulo 16 in `entry`, as after a call.
    auto** top = reinterpret_cast<void**>(static_cast<char*>(stack) + stack_bytes - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    stack_pointer_ = top;
#else
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack;
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
#endif
}

void Fiber::resume_from(Fiber& from) {
    leave(&from.sanitizer_state_, stack_ ? stack_ : main_bottom, stack_ ? stack_bytes : main_bytes);
#if defined(__x86_64__) && !defined(EMULATOR_USES_UCONTEXT)
    emulator_switch_stack(&from.stack_pointer_, stack_pointer_);
#else
    swapcontext(&from.context_, &context_);
#endif
    enter(from.sanitizer_state_);
}

void Fiber::arrived() { enter(nullptr); }

} // namespace emulator
