#pragma once

// How many instructions a kernel issues, estimated from its machine code: static instructions from nvdisasm, and how
// often they run from what the emulator counted of the memory instructions among them.
//
// A basic block that has memory accesses runs as often as they do: the requests that the emulator counted at the same
// chain of source lines, shared among the instructions of that chain (so unrolling changes nothing). Any other block
// runs as often as the block before it, the first one once for each warp. Errors: a block that is skipped at run time,
// or that repeats without an access, is taken to run like its neighbour; subroutines, such as 64-bit divisions, are
// left out; the compilers may give an access another line. IssuedInstructions::anchored says how much of the sum rests
// on accesses.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/counters/model/time_model.h"

namespace scene::counters {

class MachineCode {
public:
    /// Adds what `nvdisasm -gi -c` prints for the machine code of `source`, a path such as kernels/adam/cuda.cu.
    void add(const std::string& source, std::string_view disassembly);
    bool empty() const { return functions_.empty(); }

    /// Nothing if there is no such kernel.
    std::optional<IssuedInstructions> issued(const KernelCounters& kernel) const;

private:
    struct Instruction {
        std::vector<Frame> frames; ///< the innermost first
        std::string opcode;        ///< "LDG.E.128"
        std::vector<int> registers, written;
        bool conditional = false;
        int64_t address = 0, target = -1; ///< of a branch
    };
    struct Function {
        std::string source;
        std::vector<Instruction> instructions;
        std::vector<size_t> block_begins;
    };

    static IssuedInstructions estimate(const Function& function, const KernelCounters& kernel);

    std::multimap<std::string, Function> functions_; ///< by the demangled name
};

/// All files *.cu.sass below a folder; empty if there is none.
MachineCode machine_code_in(const std::filesystem::path& folder);

} // namespace scene::counters
