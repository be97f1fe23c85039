#pragma once

// Stands in for NVTX: the ranges that are open, so that a launch can be named by the op that it belongs to.

#include <functional>
#include <string>
#include <vector>

namespace emulator {

inline std::vector<std::string> ranges;                         ///< the innermost last
inline std::function<void(const std::string&)> on_range_begins; ///< empty, or called with each range's name

} // namespace emulator

inline int nvtxRangePushA(const char* name) {
    emulator::ranges.emplace_back(name);
    if (emulator::on_range_begins) emulator::on_range_begins(emulator::ranges.back());
    return static_cast<int>(emulator::ranges.size()) - 1;
}
inline int nvtxRangePop() {
    emulator::ranges.pop_back();
    return static_cast<int>(emulator::ranges.size());
}
