#pragma once

// Checks of an op's operands, the same for every device. A violation throws std::logic_error that says what was
// expected.

#include <cstdint>
#include <string>

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

void check_tensor(const Tensor& tensor, DType dtype, const Shape& shape, const char* name);
void check_rank(const Tensor& tensor, int rank, const char* name);

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

/// Checks that the tensor is F16 or BF16, of this shape.
void check_half_width(const Tensor& tensor, const Shape& shape, const char* name);

/// Checks that the scratch has at least `bytes`, aligned to 16. It may be absent if that is 0.
void check_scratch(const Tensor& scratch, size_t bytes);

/// The scratch, checked to have at least `bytes`. May be null if that is 0.
template <typename T> T* scratch_of(const Tensor& scratch, size_t bytes) {
    check_scratch(scratch, bytes);
    return static_cast<T*>(scratch.data);
}

void check_convolution(const Conv2dShape& shape);

/// The shape of x [N, H, W, C] after 2x2 pooling with stride 2: [N, floor(H/2), floor(W/2), C].
Shape pooled_shape(const Shape& x);

/// The output shape of a batch norm of x with this epilogue.
Shape epilogue_shape(const Shape& x, const NormEpilogue& epilogue);

/// The last extent of x, which must not be empty.
int64_t channels_of(const Tensor& x, const char* name);

} // namespace scene
