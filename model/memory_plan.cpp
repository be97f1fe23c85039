#include "model/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace scene {
namespace {

struct Plan {
    std::vector<size_t> offsets; ///< by lifetime
    size_t bytes = 0;
};

size_t largest_live_set(const std::vector<Lifetime>& buffers, size_t steps) {
    size_t largest = 0;
    for (size_t step = 0; step < steps; ++step) {
        size_t live = 0;
        for (const Lifetime& buffer : buffers)
            if (buffer.first <= step && step <= buffer.last) live += buffer.bytes;
        largest = std::max(largest, live);
    }
    return largest;
}

Plan place(const std::vector<Lifetime>& buffers, const std::vector<size_t>& order) {
    Plan plan{std::vector<size_t>(buffers.size()), 0};
    std::vector<size_t> placed; // in order of offset
    for (size_t index : order) {
        const Lifetime& buffer = buffers[index];
        size_t offset = 0;
        for (size_t other : placed) {
            if (!buffer.overlaps(buffers[other])) continue;
            if (buffer.end(offset) <= plan.offsets[other]) break;
            offset = std::max(offset, buffers[other].end(plan.offsets[other]));
        }
        plan.offsets[index] = offset;
        plan.bytes = std::max(plan.bytes, buffer.end(offset));
        const auto after = std::upper_bound(placed.begin(), placed.end(), offset,
                                            [&](size_t value, size_t at) { return value < plan.offsets[at]; });
        placed.insert(after, index);
    }
    return plan;
}

} // namespace

std::vector<Lifetime> lifetimes(const Program& program) {
    std::vector<Lifetime> by_buffer(program.tensors.size());
    for (size_t step = 0; step < program.ops.size(); ++step) {
        const Op& op = program.ops[step];
        const auto touch = [&](TensorId id) {
            const TensorInfo& info = program.info(id);
            if (info.storage != Storage::Transient) return;
            Lifetime& buffer = by_buffer[static_cast<size_t>(info.buffer.value)];
            buffer.buffer = static_cast<size_t>(info.buffer.value);
            buffer.bytes = std::max(buffer.bytes, aligned_bytes(info.bytes()));
            buffer.first = std::min(buffer.first, step);
            buffer.last = std::max(buffer.last, step);
        };
        for (TensorId id : op.writes) touch(id);
        for (TensorId id : op.reads) touch(id);
        if (op.scratch) touch(op.scratch);
    }
    std::erase_if(by_buffer, [](const Lifetime& buffer) { return buffer.bytes == 0; });
    return by_buffer;
}

void plan_memory(Program& program) {
    const std::vector<Lifetime> buffers = lifetimes(program);
    std::vector<size_t> order(buffers.size());
    const auto sorted_by = [&](auto key) {
        std::iota(order.begin(), order.end(), size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return key(buffers[a]) > key(buffers[b]); });
        return place(buffers, order);
    };
    const auto by_size = [](const Lifetime& i) { return static_cast<double>(i.bytes); };
    const auto by_area = [](const Lifetime& i) { return static_cast<double>(i.bytes * (i.last - i.first + 1)); };
    const auto by_duration = [](const Lifetime& i) { return static_cast<double>(i.last - i.first); };
    const auto by_start = [](const Lifetime& i) { return -static_cast<double>(i.first); };
    Plan best = sorted_by(by_size);
    for (Plan& plan : std::vector<Plan>{sorted_by(by_area), sorted_by(by_duration), sorted_by(by_start)})
        if (plan.bytes < best.bytes) best = std::move(plan);

    std::vector<size_t> offset_of(program.tensors.size(), 0);
    for (size_t index = 0; index < buffers.size(); ++index) offset_of[buffers[index].buffer] = best.offsets[index];
    for (TensorInfo& info : program.tensors)
        if (info.storage == Storage::Transient) info.offset = offset_of[static_cast<size_t>(info.buffer.value)];
    program.transient_bytes = best.bytes;
    program.lower_bound = largest_live_set(buffers, program.ops.size());
}

} // namespace scene
