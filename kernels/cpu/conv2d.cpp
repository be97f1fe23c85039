// The convolution ops: which algorithm runs which shape.
//
// - 3x3, stride 1, padding 1, at least a vector of channels on both sides: Winograd (kernels/cpu/winograd.h).
// - at most 4 input channels: patches (kernels/cpu/conv2d_patches.h).
// - everything else: oneDNN (kernels/cpu/convolution_plans.h).
//
// The rule follows from measurement: GFLOP/s of the direct method's operations, forward / data grad / weight grad, one
// core of an AMD Zen 4 (multiply-add peak 111), oneDNN 2.6.3, 4 clips; the last two columns are 8 clips, PyTorch 2.15
// beside ours, by processor time on a machine that did other work too.
//
//   layer                        oneDNN            Winograd        PyTorch          ours
//   250x32, 16 -> 16        95 / 104 /  95    91 /  90 / 116
//   250x32, 24 -> 24        75 /  80 /  70    94 /  92 /  74
//   250x32, 36 -> 36        67 /  68 /  70   122 / 118 / 111
//   62x8, 144 -> 144       112 / 104 /  96   220 / 217 / 174
//   500x64, 64 -> 64                                            70 /  82 / 62   202 / 211 / 194
//   250x32, 144 -> 144                                          87 /  92 / 58   274 / 266 / 223
//   125x16, 288 -> 288                                          99 / 100 / 62   279 / 292 / 297
//   62x8, 576 -> 576                                           103 / 101 / 55   273 / 268 / 265
//
// Largest error over largest value at these layers, normal operands: Winograd 0.6e-6 to 3.4e-6, oneDNN 0.2e-6
// to 1.8e-6.

#include "kernels/cpu/checks.h"
#include "kernels/cpu/conv2d_patches.h"
#include "kernels/cpu/convolution_plans.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd.h"

namespace scene::cpu {
namespace {

void check_shape(const Conv2dShape& shape) {
    SCENE_CHECK(shape.batch > 0 && shape.in_channels > 0 && shape.out_channels > 0 && shape.kernel > 0 &&
                    shape.stride > 0 && shape.padding >= 0 && shape.out_height() > 0 && shape.out_width() > 0,
                fmt::format("no convolution: x {}, w {}, stride {}, padding {}", shape.x().text(), shape.w().text(),
                            shape.stride, shape.padding));
}

void* scratch_of(Tensor scratch, size_t needed) {
    SCENE_CHECK(needed == 0 || (scratch && scratch.bytes() >= needed),
                fmt::format("scratch has {} bytes, expected {}", scratch ? scratch.bytes() : 0, needed));
    return scratch.data;
}

struct InputNorm {
    const float *scale, *shift;
};

InputNorm input_norm(Tensor scale, Tensor shift, const Conv2dShape& shape) {
    SCENE_CHECK(bool(scale) == bool(shift), "an input norm has both scale and shift");
    SCENE_CHECK(!scale || winograd_suits(shape), "conv2d_fusion offers no input norm for this shape");
    return {optional_floats(scale, {shape.in_channels}, "input_scale"),
            optional_floats(shift, {shape.in_channels}, "input_shift")};
}

/// Null where weights are not given in their prepared form.
float* prepared_floats(const Tensor& prepared, const PreparedWeights& form) {
    SCENE_CHECK(!prepared || form.floats > 0, "conv2d_prepared_weights gives no form for this shape");
    return optional_floats(prepared, {form.floats}, "prepared_weights");
}

} // namespace

ConvFusion CpuBackend::conv2d_fusion(const Conv2dShape& shape) const {
    return {.normalize_input = winograd_suits(shape),
            .statistics = winograd_suits(shape) || patches_suit(shape),
            .bias_relu = true};
}

size_t CpuBackend::conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const {
    check_shape(shape);
    if (patches_suit(shape)) return patches_scratch_bytes(threads_, shape, pass);
    if (winograd_suits(shape)) return winograd_scratch_bytes(threads_, shape, pass);
    return convolutions_->scratch_bytes(shape, pass);
}

void CpuBackend::conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                                const ConvExtras& extras) {
    check_shape(shape);
    SCENE_CHECK(bool(extras.mean) == bool(extras.variance), "statistics are both mean and variance");
    SCENE_CHECK(!extras.mean || conv2d_fusion(shape).statistics, "conv2d_fusion offers no statistics for this shape");
    SCENE_CHECK(!extras.relu || extras.bias, "relu without bias");
    float* to = floats(y, shape.y(), "y");
    const float* from = floats(x, shape.x(), "x");
    const PreparedWeights form = extras.prepared_weights ? conv2d_prepared_weights(shape) : PreparedWeights{};
    const float* prepared = prepared_floats(extras.prepared_weights, form);
    const float* weights = prepared ? nullptr : floats(w, shape.w(), "w");
    const Shape channels{shape.out_channels};
    const ConvEpilogue epilogue{optional_floats(extras.bias, channels, "bias"), extras.relu,
                                optional_floats(extras.mean, channels, "mean"),
                                optional_floats(extras.variance, channels, "variance")};
    const auto [scale, shift] = input_norm(extras.input_scale, extras.input_shift, shape);
    void* memory = scratch_of(scratch, prepared ? form.scratch_bytes : conv2d_scratch_bytes(shape, ConvPass::Forward));
    if (patches_suit(shape)) return patches_forward(threads_, to, from, weights, epilogue, memory, shape);
    if (winograd_suits(shape)) {
        const WinogradForward operands{to, from, weights, prepared, scale, shift, epilogue};
        return winograd_forward(threads_, operands, memory, shape);
    }
    convolutions_->forward(to, from, weights, epilogue.bias, epilogue.relu, memory, shape);
}

PreparedWeights CpuBackend::conv2d_prepared_weights(const Conv2dShape& shape) const {
    check_shape(shape);
    if (patches_suit(shape) || !winograd_suits(shape)) return {};
    return winograd_prepared_weights(threads_, shape);
}

void CpuBackend::conv2d_prepare_weights(Tensor prepared, Tensor w, const Conv2dShape& shape) {
    float* to = prepared_floats(prepared, conv2d_prepared_weights(shape));
    SCENE_CHECK(to, "prepared_weights is absent");
    winograd_prepare_weights(threads_, to, floats(w, shape.w(), "w"), shape);
}

void CpuBackend::conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) {
    check_shape(shape);
    float* to = floats(dx, shape.x(), "dx");
    const float *gradient = floats(dy, shape.y(), "dy"), *weights = floats(w, shape.w(), "w");
    void* memory = scratch_of(scratch, conv2d_scratch_bytes(shape, ConvPass::DataGrad));
    if (patches_suit(shape)) return patches_data_grad(threads_, to, gradient, weights, memory, shape);
    if (winograd_suits(shape)) return winograd_data_grad(threads_, to, gradient, weights, memory, shape);
    convolutions_->data_grad(to, gradient, weights, memory, shape);
}

void CpuBackend::conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                                    Tensor input_scale, Tensor input_shift) {
    check_shape(shape);
    const auto [scale, shift] = input_norm(input_scale, input_shift, shape);
    float* to = floats(dw, shape.w(), "dw");
    const float *gradient = floats(dy, shape.y(), "dy"), *from = floats(x, shape.x(), "x");
    void* memory = scratch_of(scratch, conv2d_scratch_bytes(shape, ConvPass::WeightGrad));
    if (patches_suit(shape)) return patches_weight_grad(threads_, to, gradient, from, memory, shape);
    if (winograd_suits(shape)) return winograd_weight_grad(threads_, to, gradient, from, scale, shift, memory, shape);
    convolutions_->weight_grad(to, gradient, from, memory, shape);
}

void CpuBackend::fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale) {
    check_rank(w, 4, "w");
    const int64_t out = w.shape[0], filter = w.elements() / out;
    float* to = floats(folded_w, w.shape, "folded_w");
    const float *from = floats(w, w.shape, "w"), *factor = floats(scale, {out}, "scale");
    for_pieces(threads_, out, grain_for(filter), [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; ++k) {
            for (int64_t i = 0; i < filter; ++i) to[k * filter + i] = from[k * filter + i] * factor[k];
        }
    });
}

} // namespace scene::cpu
