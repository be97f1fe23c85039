// Instruction counts of a small kernel whose machine code was written down, and what they should be.

#include <gtest/gtest.h>

#include "tests/counters/model/machine_code.h"

namespace scene::counters {
namespace {

// In the manner of `nvdisasm -gi -c`: a prologue of 2, a loop of 6 with two loads under way, a tail of 2, a subroutine.
constexpr const char* disassembly = R"(
.text._ZN5scene4cuda12_GLOBAL__N__5weighIfEEvPT_:
        .type           _ZN5scene4cuda12_GLOBAL__N__5weighIfEEvPT_,@function
	//## File "/home/me/scene/kernels/weigh/cuda.cu", line 10
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/               @P0 EXIT ;
.L_x_1:
	//## File "/home/me/scene/./kernels/common.h", line 5 inlined at "/home/me/scene/kernels/weigh/cuda.cu", line 12
	//## File "/home/me/scene/kernels/weigh/cuda.cu", line 12
        /*0020*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
	//## File "/home/me/scene/./kernels/common.h", line 5 inlined at "/home/me/scene/kernels/weigh/cuda.cu", line 13
	//## File "/home/me/scene/kernels/weigh/cuda.cu", line 13
        /*0030*/                   LDG.E R8, desc[UR4][R2.64+0x10] ;
        /*0040*/                   IADD3 R2, P1, R2, 0x20, RZ ;
        /*0050*/                   FADD R9, R9, R7 ;
        /*0060*/                   FADD R9, R9, R8 ;
        /*0070*/              @!P0 BRA `(.L_x_1) ;
	//## File "/home/me/scene/kernels/weigh/cuda.cu", line 14
        /*0080*/                   STG.E desc[UR4][R2.64], R9 ;
        /*0090*/                   EXIT ;
        /*00a0*/                   NOP ;
$__internal_0_$__cuda_sm20_div_s64:
        /*00b0*/                   RET.REL.NODEC R2 `(.L_x_1) ;
.L_x_2:
)";

LineCounts line(std::vector<Frame> frames, AccessKind kind, double requests) {
    LineCounts line;
    line.frames = std::move(frames);
    line.access[static_cast<size_t>(kind)].requests = requests;
    return line;
}

/// 10 blocks of 2 warps; every warp goes 50 times through the loop.
KernelCounters kernel() {
    KernelCounters kernel;
    kernel.symbol = "_ZN5scene4cuda12_GLOBAL__N_15weighIfEEvPT_";
    kernel.grid = {10, 1, 1}, kernel.block = {64, 1, 1};
    kernel.lines = {line({{"kernels/common.h", 5}, {"kernels/weigh/cuda.cu", 12}}, AccessKind::GlobalLoad, 1000),
                    line({{"kernels/common.h", 5}, {"kernels/weigh/cuda.cu", 13}}, AccessKind::GlobalLoad, 1000),
                    line({{"kernels/weigh/cuda.cu", 14}}, AccessKind::GlobalStore, 20)};
    return kernel;
}

std::string with(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}

MachineCode code(const std::string& text = disassembly) {
    MachineCode code;
    code.add("kernels/weigh/cuda.cu", text);
    return code;
}

TEST(MachineCode, BlocksRunAsOftenAsTheirAccesses) {
    const auto issued = code().issued(kernel());
    ASSERT_TRUE(issued);
    EXPECT_DOUBLE_EQ(issued->warp_instructions, 20 * 2 + 1000 * 6 + 20 * 2);
    EXPECT_DOUBLE_EQ(issued->anchored, 6040.0 / 6080);
}

TEST(MachineCode, LoadsInFlightBeforeTheFirstUse) {
    EXPECT_DOUBLE_EQ(code().issued(kernel())->loads_in_flight, 2);
    // The first load's last register is used before the second load.
    const std::string early = with(with(disassembly, "LDG.E R8, desc[UR4][R2.64+0x10]", "FADD R9, R9, R7"),
                                   "IADD3 R2, P1, R2, 0x20, RZ", "LDG.E R8, desc[UR4][R2.64+0x10]");
    EXPECT_DOUBLE_EQ(code(early).issued(kernel())->loads_in_flight, 1);
}

TEST(MachineCode, DoublePrecisionIsCountedApart) {
    const auto issued =
        code(with(with(disassembly, "FADD R9, R9, R7", "DADD R10, R10, R6"), "S2R R0, SR_TID.X", "DFMA R2, R4, R6, R8"))
            .issued(kernel());
    EXPECT_DOUBLE_EQ(issued->double_precision, 1020);
    EXPECT_EQ(code().issued(kernel())->double_precision, 0);
}

/// The same loop unrolled twice has half as many rounds of twice as many instructions.
TEST(MachineCode, UnrollingChangesNothing) {
    const std::string text = disassembly;
    const size_t begin = text.find("\t//## File \"/home/me/scene/./kernels/common.h\""),
                 end = text.find("        /*0070*/");
    const auto issued = code(text.substr(0, end) + text.substr(begin, end - begin) + text.substr(end)).issued(kernel());
    EXPECT_DOUBLE_EQ(issued->warp_instructions, 20 * 2 + 500 * 11 + 20 * 2);
}

TEST(MachineCode, AnInlineChainThatDiffersFallsBackOnItsLine) {
    KernelCounters other = kernel();
    other.lines[0].frames[1].line = 99;
    EXPECT_DOUBLE_EQ(code().issued(other)->warp_instructions, 6080);
}

TEST(MachineCode, NothingOfAnUnknownKernel) {
    KernelCounters other = kernel();
    other.symbol = "_Z5otherv";
    EXPECT_FALSE(code().issued(other));
    EXPECT_TRUE(machine_code_in("no/such/folder").empty());
}

} // namespace
} // namespace scene::counters
