#include "kernels/conv2d_bn_reduce/conv2d_bn_reduce.h"

#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/context.h"
#include "kernels/operands.h"

namespace scene::cuda {
namespace {

template <class T> ConvolutionTask task_of(const Conv2dDataGradBnReduce<T>& op) {
    return {op.shape, ConvPass::DataGrad, {.bn_reduce = true}};
}

/// Outputs of the library that are not used. They lie in front of its workspace.
constexpr size_t unused_outputs = std::tuple_size_v<decltype(ConvolutionOperands::unused)>;

size_t bytes_of_unused_output(const Conv2dShape& shape) {
    return aligned_bytes(static_cast<size_t>(shape.in_channels) * sizeof(float));
}

} // namespace

size_t scratch_bytes(const Conv2dDataGradBnReduce<TensorSpec>& op, const Planning& planning) {
    return unused_outputs * bytes_of_unused_output(op.shape) + planning.convolutions->workspace_bytes(task_of(op));
}

void run(const Conv2dDataGradBnReduce<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    const ConvolutionTask task = task_of(op);
    const DType activation = cuda.convolutions->activation();
    const Shape channels{shape.in_channels};
    check_tensor(op.dz, activation, shape.x(), "dz");
    check_tensor(op.dy, activation, shape.y(), "dy");
    check_tensor(op.w, activation, shape.w(), "w");
    check_tensor(op.norm_x, activation, shape.x(), "norm_x");
    const size_t unused = bytes_of_unused_output(shape);
    auto* scratch =
        scratch_of<std::byte>(op.scratch, unused_outputs * unused + cuda.convolutions->workspace_bytes(task));
    ConvolutionOperands operands{.x = op.dz.data,
                                 .w = op.w.data,
                                 .y = op.dy.data,
                                 .norm_x = op.norm_x.data,
                                 .mean = floats(op.mean, channels, "mean"),
                                 .inv_std = floats(op.inv_std, channels, "inv_std"),
                                 .gamma = floats(op.gamma, channels, "gamma"),
                                 .beta = floats(op.beta, channels, "beta"),
                                 .dgamma = floats(op.dgamma, channels, "dgamma"),
                                 .dbeta = floats(op.dbeta, channels, "dbeta")};
    for (size_t i = 0; i < unused_outputs; ++i) operands.unused[i] = reinterpret_cast<float*>(scratch + i * unused);
    cuda.convolutions->run(task, operands, scratch + unused_outputs * unused, cuda.stream);
}

} // namespace scene::cuda
