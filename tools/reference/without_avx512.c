// Makes a processor with AVX-512 look like one with AVX2 only to every program and library that chooses its kernels by
// the CPUID instruction, PyTorch and ONNX Runtime among them:
//
//   cc -O2 -shared -fPIC tools/reference/without_avx512.c -o build/without_avx512.so
//   LD_PRELOAD=$PWD/build/without_avx512.so COMMAND
//
// Linux can make CPUID fault (arch_prctl ARCH_CPUID, if /proc/cpuinfo lists cpuid_fault). The handler of the fault gives
// CPUID's answer without the bits of AVX-512, AMX and AVX-VNNI. Clock, caches and memory stay this machine's.
//
// A program cannot replace this handler of SIGSEGV with its own: g++'s cc1plus tries to, and torch.compile calls g++.

#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_CPUID = 0x1012 };
#define BIT(n) (1u << (n))

// Intel's manual, volume 2, CPUID, leaf 7. Sub-leaf 0: F DQ IFMA PF ER CD BW VL; VBMI VBMI2 VNNI BITALG VPOPCNTDQ; 4VNNIW
// 4FMAPS VP2INTERSECT AMX-BF16 FP16 AMX-TILE AMX-INT8. Sub-leaf 1: AVX-VNNI AVX512-BF16 AMX-FP16; AVX-VNNI-INT8
// AVX-NE-CONVERT AMX-COMPLEX AVX-VNNI-INT16 AVX10.
static const uint32_t ebx_0 = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const uint32_t ecx_0 = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);
static const uint32_t edx_0 = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);
static const uint32_t eax_1 = BIT(4) | BIT(5) | BIT(21);
static const uint32_t edx_1 = BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19);

typedef int (*sigaction_function)(int, const struct sigaction*, struct sigaction*);
static int real_sigaction(int number, const struct sigaction* action, struct sigaction* before) {
    static sigaction_function next;
    if (next == 0) next = (sigaction_function)dlsym(RTLD_NEXT, "sigaction");
    return next(number, action, before);
}

static void on_fault(int number, siginfo_t* info, void* context) {
    (void)info;
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const uint8_t* at = (const uint8_t*)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) { // a real fault
        struct sigaction action;
        memset(&action, 0, sizeof action);
        real_sigaction(number, &action, 0); // back to the default handler, so that its next occurrence ends the program
        return;
    }
    const uint32_t leaf = (uint32_t)registers[REG_RAX], sub_leaf = (uint32_t)registers[REG_RCX];
    uint32_t eax, ebx, ecx, edx;
    syscall(SYS_arch_prctl, ARCH_CPUID, 1);
    __cpuid_count(leaf, sub_leaf, eax, ebx, ecx, edx);
    syscall(SYS_arch_prctl, ARCH_CPUID, 0);
    if (leaf == 7 && sub_leaf == 0) ebx &= ~ebx_0, ecx &= ~ecx_0, edx &= ~edx_0;
    if (leaf == 7 && sub_leaf == 1) eax &= ~eax_1, edx &= ~edx_1;
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
    return real_sigaction(number, number == SIGSEGV ? 0 : action, before);
}

sighandler_t signal(int number, sighandler_t handler) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    return sigaction(number, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

__attribute__((constructor)) static void hide(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    static const char failed[] = "without_avx512: this machine's CPUID cannot be made to fault\n";
    if (real_sigaction(SIGSEGV, &action, 0) != 0 || syscall(SYS_arch_prctl, ARCH_CPUID, 0) != 0) {
        if (write(2, failed, sizeof failed - 1) < 0) _exit(126);
        _exit(126);
    }
}
