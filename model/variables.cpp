#include "model/variables.h"

namespace scene {
namespace {

/// Whether the segment mirrors the layout of Parameters.
bool has_parameter_layout(Segment segment) {
    return segment == Segment::Gradients || segment == Segment::FirstMoment || segment == Segment::SecondMoment ||
           segment == Segment::HalfParameters;
}

/// Converts bytes or a byte offset in Parameters to a segment of the same layout.
size_t scaled_to(Segment segment, size_t parameter_bytes) {
    return segment == Segment::HalfParameters ? parameter_bytes / 2 : parameter_bytes;
}

} // namespace

const Variable& Variables::declare(Segment segment, const std::string& name, DType dtype, const Shape& shape,
                                   Init init) {
    const Key key{segment, name};
    if (const auto found = variables_.find(key); found != variables_.end()) {
        const Variable& known = found->second;
        SCENE_CHECK(known.dtype == dtype && known.shape == shape,
                    name + " was declared as " + known.shape.text() + " and again as " + shape.text());
        return known;
    }
    Variable variable{name, dtype, shape, segment, 0, init};
    if (has_parameter_layout(segment)) {
        const Variable* parameter = find(Segment::Parameters, name);
        SCENE_CHECK(parameter && parameter->shape == shape, name + " has no parameter of its shape");
        SCENE_CHECK(segment == Segment::HalfParameters ? is_half_width(dtype) : dtype == DType::F32,
                    name + " has no segment of its type");
        variable.offset = scaled_to(segment, parameter->offset);
        mirrors_parameters_[static_cast<size_t>(segment)] = true;
    } else {
        size_t& used = used_[static_cast<size_t>(segment)];
        variable.offset = used;
        used += aligned_bytes(static_cast<size_t>(shape.elements()) * size_of(dtype));
    }
    order_.push_back(key);
    return variables_.emplace(key, std::move(variable)).first->second;
}

const Variable* Variables::find(Segment segment, const std::string& name) const {
    const auto found = variables_.find({segment, name});
    return found == variables_.end() ? nullptr : &found->second;
}

std::vector<const Variable*> Variables::all(Segment segment) const {
    std::vector<const Variable*> out;
    for (const Key& key : order_)
        if (key.first == segment) out.push_back(&variables_.at(key));
    return out;
}

size_t Variables::bytes(Segment segment) const {
    if (!has_parameter_layout(segment)) return used_[static_cast<size_t>(segment)];
    if (!mirrors_parameters_[static_cast<size_t>(segment)]) return 0;
    return scaled_to(segment, used_[static_cast<size_t>(Segment::Parameters)]);
}

size_t Variables::base(Segment segment) const {
    size_t offset = 0;
    for (size_t before = 0; before < static_cast<size_t>(segment); ++before)
        offset += aligned_bytes(bytes(static_cast<Segment>(before)));
    return offset;
}

size_t Variables::total_bytes() const { return base(Segment::State) + bytes(Segment::State); }

int64_t Variables::parameter_count() const {
    int64_t count = 0;
    for (const Variable* parameter : all(Segment::Parameters)) count += parameter->shape.elements();
    return count;
}

} // namespace scene
