#include "kernels/conv2d/stem.h"

#include "kernels/op_fields.h"
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// The stems of both models at odd extents, one and three input channels, output channels that are no multiple of 4, no
/// padding, and more padding than input. Output rows of several tiles of 32 positions; patches of many tiles; more than
/// 144 output channels; weights that do not fit into the shared memory of the kernels on tensor cores.
const std::vector<Conv2dShape> shapes = {
    {.batch = 2,
     .height = 11,
     .width = 9,
     .in_channels = 1,
     .out_channels = 64,
     .kernel = 3,
     .stride = 1,
     .padding = 1},
    {.batch = 2,
     .height = 13,
     .width = 12,
     .in_channels = 1,
     .out_channels = 144,
     .kernel = 5,
     .stride = 2,
     .padding = 2},
    {.batch = 1,
     .height = 10,
     .width = 11,
     .in_channels = 3,
     .out_channels = 72,
     .kernel = 5,
     .stride = 2,
     .padding = 2},
    {.batch = 3, .height = 6, .width = 5, .in_channels = 2, .out_channels = 10, .kernel = 3, .stride = 1, .padding = 0},
    {.batch = 2, .height = 7, .width = 5, .in_channels = 1, .out_channels = 8, .kernel = 3, .stride = 2, .padding = 3},
    {.batch = 1, .height = 3, .width = 70, .in_channels = 1, .out_channels = 8, .kernel = 3, .stride = 1, .padding = 1},
    {.batch = 1,
     .height = 5,
     .width = 67,
     .in_channels = 1,
     .out_channels = 20,
     .kernel = 5,
     .stride = 2,
     .padding = 2},
    {.batch = 1, .height = 6, .width = 8, .in_channels = 3, .out_channels = 8, .kernel = 7, .stride = 2, .padding = 3},
    {.batch = 1,
     .height = 3,
     .width = 3,
     .in_channels = 1,
     .out_channels = 160,
     .kernel = 3,
     .stride = 1,
     .padding = 1},
    {.batch = 1,
     .height = 2,
     .width = 2,
     .in_channels = 4,
     .out_channels = 256,
     .kernel = 7,
     .stride = 2,
     .padding = 3},
    {.batch = 1, .height = 1, .width = 1, .in_channels = 1, .out_channels = 1, .kernel = 1, .stride = 1, .padding = 0},
};

std::string describe(const Conv2dShape& shape) { return shape.x().text() + " * " + shape.w().text(); }

/// Runs an op on the CPU with the scratch that it asks for.
template <template <class> class Op> void run_on_cpu(Op<Tensor> op) {
    const auto spec = rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); });
    const size_t bytes = cpu().planner().scratch_bytes(spec);
    const Guarded scratch({static_cast<int64_t>(std::max<size_t>(bytes, 1))}, DType::U8);
    op.scratch = Scratch<Tensor>(scratch);
    cpu().run(op);
}

void expect_forward(const Conv2dShape& shape, DType dtype) {
    const Guarded bias = uniform({shape.out_channels}, 3), y(shape.y());
    const Guarded x = stored_as(dtype, uniform(shape.x(), 1)), w = stored_as(dtype, uniform(shape.w(), 2));
    const OnDevice d_y(shape.y(), dtype), d_x(x, dtype), d_w(w, dtype), d_bias(bias);
    for (const bool with_bias : {false, true}) {
        run_on_cpu(Conv2dForward<Tensor>{.y = Tensor(y),
                                         .x = Tensor(x),
                                         .w = Tensor(w),
                                         .bias = with_bias ? Tensor(bias) : Tensor(),
                                         .relu = with_bias,
                                         .shape = shape});
        cuda::conv2d_stem_forward(d_y, d_x, d_w, with_bias ? Tensor(d_bias) : Tensor(), with_bias, shape, nullptr);
        const double terms = static_cast<double>(shape.kernel * shape.kernel * shape.in_channels);
        EXPECT_TRUE(close(d_y, y, rounding(dtype, terms), describe(shape)));
    }
}

void expect_data_gradient(const Conv2dShape& shape, DType dtype) {
    const Guarded dy = stored_as(dtype, uniform(shape.y(), 1)), w = stored_as(dtype, uniform(shape.w(), 2));
    const Guarded dx(shape.x());
    run_on_cpu(Conv2dDataGrad<Tensor>{.dx = Tensor(dx), .dy = Tensor(dy), .w = Tensor(w), .shape = shape});
    const OnDevice d_dx(shape.x(), dtype), d_dy(dy, dtype), d_w(w, dtype);
    cuda::conv2d_stem_data_grad(d_dx, d_dy, d_w, shape, nullptr);
    const double terms = static_cast<double>(shape.kernel * shape.kernel * shape.out_channels);
    EXPECT_TRUE(close(d_dx, dx, rounding(dtype, terms), describe(shape)));
}

void expect_weight_gradient(const Conv2dShape& shape, DType dtype) {
    const Guarded dy = stored_as(dtype, uniform(shape.y(), 1)), x = stored_as(dtype, uniform(shape.x(), 2));
    const Guarded dw(shape.w());
    run_on_cpu(Conv2dWeightGrad<Tensor>{.dw = Tensor(dw), .dy = Tensor(dy), .x = Tensor(x), .shape = shape});
    const OnDevice d_dw(shape.w()), d_dy(dy, dtype), d_x(x, dtype);
    const OnDevice scratch = scratch_on_device(cuda::conv2d_stem_weight_grad_scratch_bytes(shape));
    cuda::conv2d_stem_weight_grad(d_dw, d_dy, d_x, scratch, shape, nullptr);
    const double terms = static_cast<double>(shape.batch * shape.out_height() * shape.out_width());
    EXPECT_TRUE(close(d_dw, dw, rounding(DType::F32, terms), describe(shape)));
}

TEST(CudaStemConvolution, EveryPass) {
    for (const Conv2dShape& shape : shapes) {
        ASSERT_TRUE(cuda::conv2d_stem_suits(shape));
        for_each_setting([&](DType dtype) {
            expect_forward(shape, dtype);
            expect_data_gradient(shape, dtype);
            expect_weight_gradient(shape, dtype);
        });
    }
}

/// More tiles, positions and rows than a block or the grid handles at once.
TEST(CudaStemConvolution, MoreWorkThanBlocks) {
    emulator::shuffle(5);
    const Conv2dShape shape{.batch = 8,
                            .height = 300,
                            .width = 4,
                            .in_channels = 1,
                            .out_channels = 8,
                            .kernel = 3,
                            .stride = 1,
                            .padding = 1};
    expect_forward(shape, DType::F32);
    expect_data_gradient(shape, DType::F32);
    expect_weight_gradient(shape, DType::F32);
}

TEST(CudaStemConvolution, RefusesWhatDoesNotSuit) {
    const Conv2dShape wide{.batch = 1, .height = 8, .width = 8, .in_channels = 16, .out_channels = 16};
    EXPECT_FALSE(cuda::conv2d_stem_suits(wide));
    const OnDevice x(wide.x()), y(wide.y()), w(wide.w());
    EXPECT_THROW(cuda::conv2d_stem_forward(y, x, w, {}, false, wide, nullptr), std::logic_error);
}

TEST(CudaStemConvolution, TheClosedFormSuitsStemsWithLittlePadding) {
    EXPECT_FALSE(
        cuda::conv2d_bn_relu_suits({.batch = 1, .height = 8, .width = 8, .in_channels = 16, .out_channels = 16}));
    EXPECT_FALSE(cuda::conv2d_bn_relu_suits(
        {.batch = 1, .height = 8, .width = 8, .in_channels = 1, .out_channels = 16, .kernel = 3, .padding = 3}));
    EXPECT_TRUE(cuda::conv2d_bn_relu_suits({.batch = 256,
                                            .height = 500,
                                            .width = 64,
                                            .in_channels = 1,
                                            .out_channels = 144,
                                            .kernel = 5,
                                            .stride = 2,
                                            .padding = 2}));
}

} // namespace
} // namespace scene::test
