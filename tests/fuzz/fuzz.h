#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace scene::test {

/// A parser on damaged inputs.
struct Fuzz {
    std::vector<std::string> corpus; ///< undamaged inputs, each of which must be accepted
    std::vector<std::string> words;  ///< pieces that mean something to the parser
    /// Parses one input and tells whether it was accepted; a scene::Error means refused. Anything else that escapes
    /// ends the program, as `require` does for what must hold of an accepted input.
    bool (*accepts)(const std::string& input);
    uint64_t inputs = 30000; ///< how many, unless it is told otherwise
};

/// main of a fuzz program. Arguments: [inputs] [seed]; FUZZ_INPUTS in the environment counts where there is none. The
/// same seed gives the same inputs. Fails where an undamaged input is refused, where all inputs are accepted or all
/// refused (they would test nothing), and where one input takes more than a second or 100 MB at once.
int fuzz_main(int argc, char** argv, const Fuzz& fuzz);

/// Ends the program with this message and the input.
void require(bool holds, const char* message);

/// What our own writer's copy of an accepted input gives: where that is refused, the program ends.
template <typename Read> auto again(Read&& read) {
    try {
        return read();
    } catch (const Error& error) {
        require(false, error.what());
        throw;
    }
}

/// Writes a file for a parser that reads files; the same name is the same path in this process.
std::string write_input(const std::string& name, const std::string& content);

} // namespace scene::test
