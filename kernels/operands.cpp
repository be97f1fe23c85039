#include "kernels/operands.h"

namespace scene {

void check_tensor(const Tensor& tensor, DType dtype, const Shape& shape, const char* name) {
    SCENE_CHECK(tensor && tensor.dtype == dtype && tensor.shape == shape,
                std::string(name) + " is " + (tensor ? std::string(name_of(tensor.dtype)) : std::string("absent")) +
                    " " + (tensor ? tensor.shape.text() : "") + ", expected " + std::string(name_of(dtype)) + " " +
                    shape.text());
}

void check_rank(const Tensor& tensor, int rank, const char* name) {
    SCENE_CHECK(tensor && tensor.shape.rank() == rank, std::string(name) + " is " +
                                                           (tensor ? tensor.shape.text() : "absent") + ", expected " +
                                                           std::to_string(rank) + " axes");
}

void check_half_width(const Tensor& tensor, const Shape& shape, const char* name) {
    check_tensor(tensor, tensor.dtype == DType::BF16 ? DType::BF16 : DType::F16, shape, name);
}

void check_scratch(const Tensor& scratch, size_t bytes) {
    SCENE_CHECK(bytes == 0 || (scratch && scratch.bytes() >= bytes), "scratch has " +
                                                                         std::to_string(scratch ? scratch.bytes() : 0) +
                                                                         " bytes, expected " + std::to_string(bytes));
    SCENE_CHECK(reinterpret_cast<uintptr_t>(scratch.data) % 16 == 0, "scratch is not aligned to 16 bytes");
}

void check_convolution(const Conv2dShape& shape) {
    SCENE_CHECK(shape.batch > 0 && shape.in_channels > 0 && shape.out_channels > 0 && shape.kernel > 0 &&
                    shape.stride > 0 && shape.padding >= 0 && shape.height + 2 * shape.padding >= shape.kernel &&
                    shape.width + 2 * shape.padding >= shape.kernel,
                "no convolution: x " + shape.x().text() + ", w " + shape.w().text() + ", stride " +
                    std::to_string(shape.stride) + ", padding " + std::to_string(shape.padding));
}

Shape pooled_shape(const Shape& x) {
    SCENE_CHECK(x.rank() == 4 && x[1] >= 2 && x[2] >= 2, "a 2x2 pooling has input " + x.text());
    return {x[0], x[1] / 2, x[2] / 2, x[3]};
}

Shape epilogue_shape(const Shape& x, const NormEpilogue& epilogue) {
    SCENE_CHECK(!epilogue.max_pool || epilogue.dropout.p == 0, "batch norm with both dropout and pooling");
    return epilogue.max_pool ? pooled_shape(x) : x;
}

int64_t channels_of(const Tensor& x, const char* name) {
    SCENE_CHECK(x && x.shape.rank() >= 1 && x.elements() > 0,
                std::string(name) + " is absent or empty, expected rows x channels");
    return x.shape[x.shape.rank() - 1];
}

} // namespace scene
