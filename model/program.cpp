#include "model/program.h"

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

double Program::bytes_moved() const {
    double total = 0;
    for (const Op& op : ops)
        if (op.phase != Phase::Setup) total += op.bytes;
    return total;
}

double Program::flops(Phase phase) const {
    double total = 0;
    for (const Op& op : ops)
        if (op.phase == phase) total += op.flops;
    return total;
}

Tensor Bindings::operator[](TensorId id) const {
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
