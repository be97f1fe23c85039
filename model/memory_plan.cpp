#include "model/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace scene {
namespace {

constexpr size_t alignment = 256;

/// A transient buffer's size and the first and last op that touch it.
struct Interval {
    size_t buffer = 0;
    size_t bytes = 0;
    size_t first = std::numeric_limits<size_t>::max();
    size_t last = 0;

    size_t end(size_t offset) const { return offset + bytes; }
    bool overlaps(const Interval& other) const { return first <= other.last && other.first <= last; }
};

struct Plan {
    std::vector<size_t> offsets; ///< by interval
    size_t bytes = 0;
};

std::vector<Interval> lifetimes(const Program& program) {
    std::vector<Interval> by_buffer(program.tensors.size());
    for (size_t step = 0; step < program.ops.size(); ++step) {
        const Op& op = program.ops[step];
        for (const auto* ids : {&op.writes, &op.reads}) {
            for (TensorId id : *ids) {
                const TensorInfo& info = program.info(id);
                if (info.storage != Storage::Transient) continue;
                Interval& interval = by_buffer[static_cast<size_t>(info.buffer.value)];
                interval.buffer = static_cast<size_t>(info.buffer.value);
                interval.bytes = std::max(interval.bytes, (info.bytes() + alignment - 1) / alignment * alignment);
                interval.first = std::min(interval.first, step);
                interval.last = std::max(interval.last, step);
            }
        }
    }
    std::erase_if(by_buffer, [](const Interval& interval) { return interval.bytes == 0; });
    return by_buffer;
}

size_t largest_live_set(const std::vector<Interval>& intervals, size_t steps) {
    size_t largest = 0;
    for (size_t step = 0; step < steps; ++step) {
        size_t live = 0;
        for (const Interval& interval : intervals)
            if (interval.first <= step && step <= interval.last) live += interval.bytes;
        largest = std::max(largest, live);
    }
    return largest;
}

Plan place(const std::vector<Interval>& intervals, const std::vector<size_t>& order) {
    Plan plan{std::vector<size_t>(intervals.size()), 0};
    std::vector<size_t> placed; // in order of offset
    for (size_t index : order) {
        const Interval& interval = intervals[index];
        size_t offset = 0;
        for (size_t other : placed) {
            if (!interval.overlaps(intervals[other])) continue;
            if (interval.end(offset) <= plan.offsets[other]) break;
            offset = std::max(offset, intervals[other].end(plan.offsets[other]));
        }
        plan.offsets[index] = offset;
        plan.bytes = std::max(plan.bytes, interval.end(offset));
        const auto after = std::upper_bound(placed.begin(), placed.end(), offset,
                                            [&](size_t value, size_t at) { return value < plan.offsets[at]; });
        placed.insert(after, index);
    }
    return plan;
}

} // namespace

void plan_memory(Program& program) {
    const std::vector<Interval> intervals = lifetimes(program);
    std::vector<size_t> order(intervals.size());
    const auto sorted_by = [&](auto key) {
        std::iota(order.begin(), order.end(), size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return key(intervals[a]) > key(intervals[b]); });
        return place(intervals, order);
    };
    const auto by_size = [](const Interval& i) { return static_cast<double>(i.bytes); };
    const auto by_area = [](const Interval& i) { return static_cast<double>(i.bytes * (i.last - i.first + 1)); };
    const auto by_duration = [](const Interval& i) { return static_cast<double>(i.last - i.first); };
    const auto by_start = [](const Interval& i) { return -static_cast<double>(i.first); };
    Plan best = sorted_by(by_size);
    for (Plan& plan : std::vector<Plan>{sorted_by(by_area), sorted_by(by_duration), sorted_by(by_start)})
        if (plan.bytes < best.bytes) best = std::move(plan);

    std::vector<size_t> offset_of(program.tensors.size(), 0);
    for (size_t index = 0; index < intervals.size(); ++index) offset_of[intervals[index].buffer] = best.offsets[index];
    for (TensorInfo& info : program.tensors)
        if (info.storage == Storage::Transient) info.offset = offset_of[static_cast<size_t>(info.buffer.value)];
    program.transient_bytes = best.bytes;
    program.lower_bound = largest_live_set(intervals, program.ops.size());
}

} // namespace scene
