#include "tests/counters/table.h"

#include <algorithm>
#include <map>

#include "kernels/error.h"
#include "tests/counters/counter_names.h"

namespace scene::counters {
namespace {

/// Launches of one kernel with one grid.
struct Group {
    const KernelCounters* first = nullptr;
    int launches = 0;
    AccessTable access;
    double distinct = 0, scaling_error = 0;

    double sectors() const { return global_access(access).sectors; }
};

std::string percent(double share) { return fmt::format("{:.1f}", 100 * share); }

} // namespace

std::string table_text(const StepCounters& step) {
    std::map<std::pair<std::string, std::array<uint32_t, 3>>, Group> groups;
    double all_sectors = 0;
    for (const KernelCounters& kernel : step.kernels) {
        Group& group = groups[{kernel.kernel, kernel.grid}];
        if (!group.first) group.first = &kernel;
        ++group.launches;
        for (size_t kind = 0; kind < access_kinds; ++kind) group.access[kind] += kernel.access[kind];
        group.distinct += kernel.distinct_bytes_read + kernel.distinct_bytes_written;
        group.scaling_error = std::max(group.scaling_error, kernel.scaling_error);
        all_sectors += global_access(kernel.access).sectors;
    }
    std::vector<const Group*> order;
    for (const auto& [key, group] : groups) order.push_back(&group);
    std::stable_sort(order.begin(), order.end(),
                     [](const Group* a, const Group* b) { return a->sectors() > b->sectors(); });
    std::string out = fmt::format("{}, {}: kernels by 32-byte sectors, counted on the emulator; nothing ran on a GPU\n",
                                  step.program, step.precision);
    out +=
        fmt::format("{:>9} {:>6} {:>6} {:>9} {:>7} {:>10} {:>6} {:>6} {:>3} {:>14} {:>8}  {}\n", "MB", "share%", "use%",
                    "unique MB", "re-read", "wavefronts", "confl%", "lanes", "n", "grid", "counted", "kernel");
    for (const Group* group : order) {
        const AccessCounts global = global_access(group->access), shared = shared_access(group->access);
        const double moved = 32 * global.sectors;
        const KernelCounters& kernel = *group->first;
        out += fmt::format(
            "{:>9.2f} {:>6} {:>6} {:>9.2f} {:>7.2f} {:>10.0f} {:>6} {:>6.1f} {:>3} {:>14} {:>8}  {}\n", moved / 1e6,
            percent(all_sectors > 0 ? global.sectors / all_sectors : 0), percent(sector_use(global)),
            group->distinct / 1e6, group->distinct > 0 ? moved / group->distinct : 0, shared.wavefronts,
            percent(conflict_share(shared)), lanes_per_access(group->access), group->launches,
            fmt::format("{}x{}x{}", kernel.grid[0], kernel.grid[1], kernel.grid[2]),
            fmt::format("{} {}", kernel.counted_blocks,
                        group->scaling_error > 0.01 ? fmt::format("±{}%", percent(group->scaling_error)) : ""),
            kernel.kernel);
    }
    return out;
}

} // namespace scene::counters
