#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/cpu_algorithm.h"
#include "kernels/conv2d/cpu_im2col.h"
#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/convolution_plans.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

struct InputNorm {
    const float *scale, *shift;
};

InputNorm input_norm(const Tensor& scale, const Tensor& shift, const Conv2dShape& shape) {
    SCENE_CHECK(bool(scale) == bool(shift), "an input norm has both scale and shift");
    SCENE_CHECK(!scale || conv2d_fusion(shape).normalize_input, "conv2d_fusion offers no input norm for this shape");
    return {optional_floats(scale, {shape.in_channels}, "input_scale"),
            optional_floats(shift, {shape.in_channels}, "input_shift")};
}

/// Throws where the shape has no prepared form.
PreparedWeights prepared_form(const Conv2dShape& shape, Context& cpu) {
    const PreparedWeights form = conv2d_prepared_weights(cpu.threads, shape);
    SCENE_CHECK(form.floats > 0, "conv2d_prepared_weights gives no form for this shape");
    return form;
}

void* scratch_of_pass(const Tensor& scratch, const Conv2dShape& shape, ConvPass pass, Context& cpu) {
    return scratch_of<void>(scratch, conv2d_scratch_bytes(cpu.threads, cpu.convolutions, shape, pass));
}

} // namespace

size_t scratch_bytes(const Conv2dForward<TensorSpec>& op, const Planning& cpu) {
    if (op.prepared_w) return conv2d_prepared_weights(cpu.threads, op.shape).scratch_bytes;
    return conv2d_scratch_bytes(cpu.threads, cpu.convolutions, op.shape, ConvPass::Forward);
}

void run(const Conv2dForward<Tensor>& op, Context& cpu) {
    const Conv2dShape& shape = op.shape;
    const ConvAlgorithm algorithm = conv_algorithm(shape);
    SCENE_CHECK(bool(op.mean) == bool(op.variance), "statistics are both mean and variance");
    SCENE_CHECK(!op.mean || conv2d_fusion(shape).statistics, "conv2d_fusion offers no statistics for this shape");
    SCENE_CHECK(!op.relu || op.bias, "relu without bias");
    float* y = floats(op.y, shape.y(), "y");
    const float* x = floats(op.x, shape.x(), "x");
    const PreparedWeights form = op.prepared_w ? prepared_form(shape, cpu) : PreparedWeights{};
    const float* prepared = optional_floats(op.prepared_w, {form.floats}, "prepared_w");
    const float* w = prepared ? nullptr : floats(op.w, shape.w(), "w");
    const Shape channels{shape.out_channels};
    const ConvEpilogue epilogue{optional_floats(op.bias, channels, "bias"), op.relu,
                                optional_floats(op.mean, channels, "mean"),
                                optional_floats(op.variance, channels, "variance")};
    const auto [scale, shift] = input_norm(op.input_scale, op.input_shift, shape);
    void* scratch = prepared ? scratch_of<void>(op.scratch, form.scratch_bytes)
                             : scratch_of_pass(op.scratch, shape, ConvPass::Forward, cpu);
    switch (algorithm) {
    case ConvAlgorithm::Im2col: return im2col_forward(cpu.threads, y, x, w, epilogue, scratch, shape);
    case ConvAlgorithm::Winograd:
        return winograd_forward(cpu.threads, {y, x, w, prepared, scale, shift, epilogue}, scratch, shape);
    case ConvAlgorithm::OneDnn: return cpu.convolutions.forward(y, x, w, epilogue.bias, epilogue.relu, scratch, shape);
    }
}

void run(const Conv2dPrepareWeights<Tensor>& op, Context& cpu) {
    float* prepared = floats(op.prepared, {prepared_form(op.shape, cpu).floats}, "prepared");
    winograd_prepare_weights(cpu.threads, prepared, floats(op.w, op.shape.w(), "w"), op.shape);
}

size_t scratch_bytes(const Conv2dDataGrad<TensorSpec>& op, const Planning& cpu) {
    return conv2d_scratch_bytes(cpu.threads, cpu.convolutions, op.shape, ConvPass::DataGrad);
}

void run(const Conv2dDataGrad<Tensor>& op, Context& cpu) {
    const Conv2dShape& shape = op.shape;
    const ConvAlgorithm algorithm = conv_algorithm(shape);
    float* dx = floats(op.dx, shape.x(), "dx");
    const float *dy = floats(op.dy, shape.y(), "dy"), *w = floats(op.w, shape.w(), "w");
    void* scratch = scratch_of_pass(op.scratch, shape, ConvPass::DataGrad, cpu);
    switch (algorithm) {
    case ConvAlgorithm::Im2col: return im2col_data_grad(cpu.threads, dx, dy, w, scratch, shape);
    case ConvAlgorithm::Winograd: return winograd_data_grad(cpu.threads, dx, dy, w, scratch, shape);
    case ConvAlgorithm::OneDnn: return cpu.convolutions.data_grad(dx, dy, w, scratch, shape);
    }
}

size_t scratch_bytes(const Conv2dWeightGrad<TensorSpec>& op, const Planning& cpu) {
    return conv2d_scratch_bytes(cpu.threads, cpu.convolutions, op.shape, ConvPass::WeightGrad);
}

void run(const Conv2dWeightGrad<Tensor>& op, Context& cpu) {
    const Conv2dShape& shape = op.shape;
    const ConvAlgorithm algorithm = conv_algorithm(shape);
    const auto [scale, shift] = input_norm(op.input_scale, op.input_shift, shape);
    float* dw = floats(op.dw, shape.w(), "dw");
    const float *dy = floats(op.dy, shape.y(), "dy"), *x = floats(op.x, shape.x(), "x");
    void* scratch = scratch_of_pass(op.scratch, shape, ConvPass::WeightGrad, cpu);
    switch (algorithm) {
    case ConvAlgorithm::Im2col: return im2col_weight_grad(cpu.threads, dw, dy, x, scratch, shape);
    case ConvAlgorithm::Winograd: return winograd_weight_grad(cpu.threads, dw, dy, x, scale, shift, scratch, shape);
    case ConvAlgorithm::OneDnn: return cpu.convolutions.weight_grad(dw, dy, x, scratch, shape);
    }
}

void run(const FoldConvWeights<Tensor>& op, Context& cpu) {
    check_rank(op.w, 4, "w");
    const int64_t out = op.w.shape[0], filter = op.w.elements() / out;
    float* folded = floats(op.folded_w, op.w.shape, "folded_w");
    const float *w = floats(op.w, op.w.shape, "w"), *scale = floats(op.scale, {out}, "scale");
    for_chunks(cpu.threads, out, grain_for(filter), [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; ++k) {
            for (int64_t i = 0; i < filter; ++i) folded[k * filter + i] = w[k * filter + i] * scale[k];
        }
    });
}

} // namespace scene::cpu
