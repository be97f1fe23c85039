#include "tests/counters/model/line_heat.h"

#include <set>
#include <utility>

namespace scene::counters {
namespace {

bool is_shared(size_t kind) { return kind >= static_cast<size_t>(AccessKind::SharedLoad); }

} // namespace

SourceHeat heat_of(const std::vector<const KernelCounters*>& kernels) {
    SourceHeat heat;
    for (const KernelCounters* kernel : kernels) {
        for (const LineCounts& counts : kernel->lines) {
            std::set<std::pair<std::string, int>> seen;
            for (const Frame& frame : counts.frames) {
                if (!seen.insert({frame.file, frame.line}).second) continue;
                LineHeat& line = heat[frame.file][frame.line];
                for (size_t kind = 0; kind < counts.access.size(); ++kind)
                    (is_shared(kind) ? line.shared : line.global) += counts.access[kind];
            }
        }
    }
    return heat;
}

double lanes_per_request(const AccessCounts& counts) {
    return counts.requests > 0 ? counts.lanes / counts.requests : 0;
}

} // namespace scene::counters
