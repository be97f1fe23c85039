// Small-channel (stem) convolutions run kernels of our own (kernels/conv2d/stem.cu), all others a library's (cuDNN;
// kernels/cuda/convolutions.h). This file maps an op to the library's task and does what the library leaves undone.

#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/stem.h"
#include "kernels/convert/convert.h"
#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/common/mean_var_from_sums.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// to[i] = from[i]*factor[i/group].
template <typename To, typename From> __global__ void __launch_bounds__(block_threads)
    scale_groups(To* to, const From* from, const float* factor, int64_t count, int64_t group) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    to[i] = from_float<To>(to_float(from[i]) * factor[i / group]);
}

template <class T> ConvolutionTask task_of(const Conv2dForward<T>& op) {
    return {op.shape,
            ConvPass::Forward,
            {.normalize_input = static_cast<bool>(op.input_scale),
             .statistics = static_cast<bool>(op.mean),
             .bias_relu = static_cast<bool>(op.bias)}};
}

template <class T> ConvolutionTask task_of(const Conv2dDataGrad<T>& op) { return {op.shape, ConvPass::DataGrad, {}}; }

template <class T> ConvolutionTask task_of(const Conv2dWeightGrad<T>& op) {
    return {op.shape, ConvPass::WeightGrad, {.normalize_input = static_cast<bool>(op.input_scale)}};
}

/// Bytes of the sums of y; as many again are those of y*y. Both lie in front of the library's workspace.
size_t bytes_of_sums(const ConvolutionTask& task) {
    return task.fusion.statistics ? aligned_bytes(static_cast<size_t>(task.shape.out_channels) * sizeof(float)) : 0;
}

/// The library writes weight gradients in the activation type. If that is not F32, they are written in front of its
/// workspace and then converted.
size_t bytes_of_narrow_gradient(const ConvolutionTask& task, DType activation) {
    return activation == DType::F32
               ? 0
               : aligned_bytes(static_cast<size_t>(task.shape.w().elements()) * size_of(activation));
}

void add_input_norm(ConvolutionOperands& operands, const ConvolutionTask& task, const Tensor& scale,
                    const Tensor& shift, DType activation) {
    if (!task.fusion.normalize_input) return;
    check_tensor(scale, activation, {task.shape.in_channels}, "input_scale");
    check_tensor(shift, activation, {task.shape.in_channels}, "input_shift");
    operands.scale = scale.data;
    operands.shift = shift.data;
}

} // namespace

size_t scratch_bytes(const Conv2dForward<TensorSpec>& op, const Planning& planning) {
    if (conv2d_stem_suits(op.shape, planning.limits)) return 0;
    const ConvolutionTask task = task_of(op);
    return 2 * bytes_of_sums(task) + planning.convolutions->workspace_bytes(task);
}

void run(const Conv2dForward<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    const ConvolutionTask task = task_of(op);
    SCENE_CHECK(!op.prepared_w, "this device prepares no weights");
    SCENE_CHECK(bool(op.mean) == bool(op.variance), "statistics are both mean and variance");
    SCENE_CHECK(bool(op.input_scale) == bool(op.input_shift), "an input norm has both scale and shift");
    SCENE_CHECK(!op.relu || op.bias, "relu without bias");
    SCENE_CHECK(!op.bias || !(op.input_scale || op.mean), "bias beside another fusion");
    if (conv2d_stem_suits(shape, cuda.limits)) {
        SCENE_CHECK(!op.input_scale && !op.mean, "a convolution of few channels has neither input norm nor statistics");
        return conv2d_stem_forward(op.y, op.x, op.w, op.bias, op.relu, shape, cuda.stream);
    }
    SCENE_CHECK(!op.bias || op.relu, "the library adds a bias only before a relu");
    const DType activation = cuda.convolutions->activation();
    check_tensor(op.y, activation, shape.y(), "y");
    check_tensor(op.x, activation, shape.x(), "x");
    check_tensor(op.w, activation, shape.w(), "w");
    if (op.bias) check_tensor(op.bias, activation, {shape.out_channels}, "bias");
    const size_t sums = bytes_of_sums(task);
    auto* scratch = scratch_of<std::byte>(op.scratch, 2 * sums + cuda.convolutions->workspace_bytes(task));
    const int64_t channels = shape.out_channels, rows = shape.y().elements() / channels;
    ConvolutionOperands operands{.x = op.x.data, .w = op.w.data, .y = op.y.data, .bias = op.bias.data};
    add_input_norm(operands, task, op.input_scale, op.input_shift, activation);
    if (task.fusion.statistics) {
        operands.sum = reinterpret_cast<float*>(scratch);
        operands.square_sum = reinterpret_cast<float*>(scratch + sums);
    }
    cuda.convolutions->run(task, operands, scratch + 2 * sums, cuda.stream);
    if (task.fusion.statistics)
        mean_var_from_sums(op.mean, op.variance, {operands.sum, DType::F32, {channels}},
                           {operands.square_sum, DType::F32, {channels}}, rows, cuda.stream);
}

size_t scratch_bytes(const Conv2dDataGrad<TensorSpec>& op, const Planning& planning) {
    return conv2d_stem_suits(op.shape, planning.limits) ? 0 : planning.convolutions->workspace_bytes(task_of(op));
}

void run(const Conv2dDataGrad<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    if (conv2d_stem_suits(shape, cuda.limits)) return conv2d_stem_data_grad(op.dx, op.dy, op.w, shape, cuda.stream);
    const DType activation = cuda.convolutions->activation();
    check_tensor(op.dx, activation, shape.x(), "dx");
    check_tensor(op.dy, activation, shape.y(), "dy");
    check_tensor(op.w, activation, shape.w(), "w");
    const ConvolutionTask task = task_of(op);
    void* scratch = scratch_of<void>(op.scratch, cuda.convolutions->workspace_bytes(task));
    cuda.convolutions->run(task, {.x = op.dx.data, .w = op.w.data, .y = op.dy.data}, scratch, cuda.stream);
}

size_t scratch_bytes(const Conv2dWeightGrad<TensorSpec>& op, const Planning& planning) {
    if (conv2d_stem_suits(op.shape, planning.limits)) return conv2d_stem_weight_grad_scratch_bytes(op.shape);
    const ConvolutionTask task = task_of(op);
    return bytes_of_narrow_gradient(task, planning.convolutions->activation()) +
           planning.convolutions->workspace_bytes(task);
}

void run(const Conv2dWeightGrad<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    const ConvolutionTask task = task_of(op);
    SCENE_CHECK(bool(op.input_scale) == bool(op.input_shift), "an input norm has both scale and shift");
    if (conv2d_stem_suits(shape, cuda.limits)) {
        SCENE_CHECK(!task.fusion.any(), "a convolution of few channels has no input norm");
        return conv2d_stem_weight_grad(op.dw, op.dy, op.x, op.scratch, shape, cuda.stream);
    }
    const DType activation = cuda.convolutions->activation();
    check_tensor(op.dw, DType::F32, shape.w(), "dw");
    check_tensor(op.dy, activation, shape.y(), "dy");
    check_tensor(op.x, activation, shape.x(), "x");
    const size_t narrow = bytes_of_narrow_gradient(task, activation);
    auto* scratch = scratch_of<std::byte>(op.scratch, narrow + cuda.convolutions->workspace_bytes(task));
    ConvolutionOperands operands{.x = op.x.data, .w = narrow > 0 ? scratch : op.dw.data, .y = op.dy.data};
    add_input_norm(operands, task, op.input_scale, op.input_shift, activation);
    cuda.convolutions->run(task, operands, scratch + narrow, cuda.stream);
    if (narrow > 0) run(Convert<Tensor>{.y = op.dw, .x = Tensor{scratch, activation, shape.w()}}, cuda);
}

void run(const Conv2dPrepareWeights<Tensor>&, Context&) { SCENE_CHECK(false, "this device prepares no weights"); }

void run(const FoldConvWeights<Tensor>& op, Context& cuda) {
    check_rank(op.w, 4, "w");
    check_tensor(op.folded_w, op.folded_w.dtype, op.w.shape, "folded_w");
    const float* scale = floats(op.scale, {op.w.shape[0]}, "scale");
    const int64_t count = op.w.elements(), filter = count / op.w.shape[0];
    with_activation_type(op.folded_w, [&](auto to_type) {
        with_activation_type(op.w, [&](auto from_type) {
            using To = decltype(to_type);
            using From = decltype(from_type);
            launch(scale_groups<To, From>, blocks_over(count), dim3(block_threads), 0, cuda.stream,
                   static_cast<To*>(op.folded_w.data), static_cast<const From*>(op.w.data), scale, count, filter);
        });
    });
}

} // namespace scene::cuda
