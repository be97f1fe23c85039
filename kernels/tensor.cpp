#include "kernels/tensor.h"

namespace scene {

std::string Shape::text() const {
    std::string out = "[";
    for (int axis = 0; axis < rank_; ++axis) out += (axis ? ", " : "") + std::to_string(extents_[axis]);
    return out + "]";
}

} // namespace scene
