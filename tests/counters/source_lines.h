#pragma once

// From addresses of this program to its source, by addr2line on the program itself.

#include <map>
#include <string>
#include <vector>

#include "tests/counters/kernel_counters.h"

namespace scene::counters {

class SourceLines {
public:
    /// Looks up all addresses at once. Throws Error where addr2line cannot run.
    explicit SourceLines(const std::vector<const void*>& addresses);

    /// The line of this address and those of the calls that were inlined around it, the innermost first; files are
    /// relative to the current folder. Empty if it was not looked up.
    const std::vector<Frame>& frames(const void* address) const;
    /// The mangled name of the function that has this address.
    const std::string& function(const void* address) const;

private:
    struct Place {
        std::vector<Frame> frames;
        std::string function;
    };
    const Place& place(const void* address) const;
    std::map<const void*, Place> places_;
};

/// "scene::cuda::normalize_rows<__half, 8>": without parameters and "(anonymous namespace)::".
std::string kernel_name(const std::string& symbol);

} // namespace scene::counters
