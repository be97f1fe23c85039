#pragma once

// For tests of scripts: stand-ins for the programs that a script calls.

#include <cstdlib>
#include <filesystem>
#include <string>

#include <fmt/core.h>
#include <sys/wait.h>

#include "tests/tools/command.h"

namespace scene::test {

/// Runs a line of shell with nothing in its environment but the search path.
inline Outcome shell(const TemporaryFolder& folder, const std::string& line) {
    const std::string command =
        fmt::format("env -i PATH=\"$PATH\" {} > {} 2> {}", line, (folder / "out").string(), (folder / "err").string());
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder / "out"), read_text(folder / "err")};
}

inline void write_program(const std::filesystem::path& file, const std::string& body) {
    write_text(file, "#!/bin/bash\n" + body + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
}

inline testing::AssertionResult contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "'" << part << "' is not in:\n" << text;
}

} // namespace scene::test
