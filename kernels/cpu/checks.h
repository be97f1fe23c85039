#pragma once

// What every CPU op checks of its operands. A violation throws std::logic_error with what was expected.

#include "kernels/backend.h"

namespace scene::cpu {

inline void check_tensor(const Tensor& tensor, DType dtype, const Shape& shape, const char* name) {
    SCENE_CHECK(tensor && tensor.dtype == dtype && tensor.shape == shape,
                fmt::format("{} is {} {}, expected {} {}", name, tensor ? name_of(tensor.dtype) : "absent",
                            tensor ? tensor.shape.text() : "", name_of(dtype), shape.text()));
}

/// The elements of an operand that must be of type T and of this shape.
template <typename T> T* operand(const Tensor& tensor, const Shape& shape, const char* name) {
    check_tensor(tensor, dtype_of<T>::value, shape, name);
    return static_cast<T*>(tensor.data);
}

inline float* floats(const Tensor& tensor, const Shape& shape, const char* name) {
    return operand<float>(tensor, shape, name);
}

/// Null where an optional operand is absent.
inline float* optional_floats(const Tensor& tensor, const Shape& shape, const char* name) {
    return tensor ? floats(tensor, shape, name) : nullptr;
}

inline StepControl& step_control(const Tensor& control) {
    check_tensor(control, DType::U8, {sizeof(StepControl)}, "control");
    return *static_cast<StepControl*>(control.data);
}

inline void check_rank(const Tensor& tensor, int rank, const char* name) {
    SCENE_CHECK(tensor && tensor.shape.rank() == rank,
                fmt::format("{} {}, expected {} axes", name, tensor ? "is " + tensor.shape.text() : "is absent", rank));
}

/// The last extent; every earlier axis counts as rows.
inline int64_t channels_of(const Tensor& x, const char* name) {
    SCENE_CHECK(x && x.shape.rank() >= 1 && x.elements() > 0,
                fmt::format("{} is absent or empty, expected rows x channels", name));
    return x.shape[x.shape.rank() - 1];
}

/// [N, H, W, C] after 2x2 pooling with stride 2.
inline Shape pooled_shape(const Shape& x) { return {x[0], x[1] / 2, x[2] / 2, x[3]}; }

inline void check_poolable(const Tensor& x) {
    check_rank(x, 4, "the input of a pooling");
    SCENE_CHECK(x.shape[1] >= 2 && x.shape[2] >= 2, "a 2x2 pooling has input " + x.shape.text());
}

} // namespace scene::cpu
