#pragma once

// Checks of an op's operands, the same for every device. A violation throws std::logic_error that says what was
// expected.

#include <algorithm>
#include <cstdint>
#include <string>

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

inline void check_tensor(const Tensor& tensor, DType dtype, const Shape& shape, const char* name) {
    SCENE_CHECK(tensor && tensor.dtype == dtype && tensor.shape == shape,
                std::string(name) + " is " + (tensor ? std::string(name_of(tensor.dtype)) : std::string("absent")) +
                    " " + (tensor ? tensor.shape.text() : "") + ", expected " + std::string(name_of(dtype)) + " " +
                    shape.text());
}

inline void check_rank(const Tensor& tensor, int rank, const char* name) {
    SCENE_CHECK(tensor && tensor.shape.rank() == rank, std::string(name) + " is " +
                                                           (tensor ? tensor.shape.text() : "absent") + ", expected " +
                                                           std::to_string(rank) + " axes");
}

/// The elements of an operand, checked to be of type T and of this shape.
template <typename T> T* operand(const Tensor& tensor, const Shape& shape, const char* name) {
    check_tensor(tensor, dtype_of<T>::value, shape, name);
    return static_cast<T*>(tensor.data);
}

inline float* floats(const Tensor& tensor, const Shape& shape, const char* name) {
    return operand<float>(tensor, shape, name);
}

/// The same; null if the operand is absent.
inline float* optional_floats(const Tensor& tensor, const Shape& shape, const char* name) {
    return tensor ? floats(tensor, shape, name) : nullptr;
}

inline int32_t* indices(const Tensor& tensor, const Shape& shape, const char* name) {
    return operand<int32_t>(tensor, shape, name);
}

inline StepControl& step_control(const Tensor& control) {
    check_tensor(control, DType::U8, {sizeof(StepControl)}, "control");
    return *static_cast<StepControl*>(control.data);
}

/// The scratch, checked to have at least `bytes`. May be null if that is 0.
template <typename T> T* scratch_of(const Tensor& scratch, size_t bytes) {
    SCENE_CHECK(bytes == 0 || (scratch && scratch.bytes() >= bytes), "scratch has " +
                                                                         std::to_string(scratch ? scratch.bytes() : 0) +
                                                                         " bytes, expected " + std::to_string(bytes));
    SCENE_CHECK(reinterpret_cast<uintptr_t>(scratch.data) % 16 == 0, "scratch is not aligned to 16 bytes");
    return static_cast<T*>(scratch.data);
}

inline void check_convolution(const Conv2dShape& shape) {
    SCENE_CHECK(shape.batch > 0 && shape.in_channels > 0 && shape.out_channels > 0 && shape.kernel > 0 &&
                    shape.stride > 0 && shape.padding >= 0 && shape.height + 2 * shape.padding >= shape.kernel &&
                    shape.width + 2 * shape.padding >= shape.kernel,
                "no convolution: x " + shape.x().text() + ", w " + shape.w().text() + ", stride " +
                    std::to_string(shape.stride) + ", padding " + std::to_string(shape.padding));
}

/// The shape of x [N, H, W, C] after 2x2 pooling with stride 2: [N, floor(H/2), floor(W/2), C].
inline Shape pooled_shape(const Shape& x) {
    SCENE_CHECK(x.rank() == 4 && x[1] >= 2 && x[2] >= 2, "a 2x2 pooling has input " + x.text());
    return {x[0], x[1] / 2, x[2] / 2, x[3]};
}

/// The output shape of a batch norm of x with this epilogue.
inline Shape epilogue_shape(const Shape& x, const NormEpilogue& epilogue) {
    SCENE_CHECK(!epilogue.max_pool || epilogue.dropout.p == 0, "batch norm with both dropout and pooling");
    return epilogue.max_pool ? pooled_shape(x) : x;
}

/// The last extent of x, which must not be empty.
inline int64_t channels_of(const Tensor& x, const char* name) {
    SCENE_CHECK(x && x.shape.rank() >= 1 && x.elements() > 0,
                std::string(name) + " is absent or empty, expected rows x channels");
    return x.shape[x.shape.rank() - 1];
}

} // namespace scene
