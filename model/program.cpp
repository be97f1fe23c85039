#include "model/program.h"

#include <algorithm>

namespace scene {

std::string_view name_of(Phase phase) {
    switch (phase) {
    case Phase::Setup: return "setup";
    case Phase::Forward: return "forward";
    case Phase::Backward: return "backward";
    case Phase::Update: return "update";
    }
    return "?";
}

double Program::bytes_moved(const Op& op) const {
    double written = 0, read = 0;
    for (TensorId id : op.writes)
        if (info(id).dtype != DType::U8) written += static_cast<double>(info(id).bytes());
    for (TensorId id : op.reads) {
        const auto bytes = static_cast<double>(info(id).bytes());
        // Of the feature store an op gathers no more than it writes.
        read += info(id).storage == Storage::External ? std::min(bytes, written) : bytes;
    }
    return read + written;
}

double Program::bytes_moved() const {
    double total = 0;
    for (const Op& op : ops)
        if (op.phase != Phase::Setup) total += bytes_moved(op);
    return total;
}

double Program::flops(Phase phase) const {
    double total = 0;
    for (const Op& op : ops)
        if (op.phase == phase) total += op.flops;
    return total;
}

Tensor Frame::operator[](TensorId id) const {
    if (!id) return {};
    const TensorInfo& info = program_.info(id);
    std::byte* place = nullptr;
    switch (info.storage) {
    case Storage::Variable: place = arena_ + variables_.base(info.segment) + info.offset; break;
    case Storage::Transient: place = arena_ + variables_.total_bytes() + info.offset; break;
    case Storage::External:
        place = static_cast<std::byte*>(externals_.at(static_cast<size_t>(id.value)));
        SCENE_CHECK(place != nullptr, "external tensor " + info.name + " is not bound");
        break;
    }
    return {place, info.dtype, info.shape};
}

} // namespace scene
