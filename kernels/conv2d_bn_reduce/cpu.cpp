#include "kernels/conv2d_bn_reduce/conv2d_bn_reduce.h"

#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu_algorithm.h"
#include "kernels/cpu/context.h"
#include "kernels/operands.h"

// The reduction is a pass of its own here, and batch_norm_apply_gradient another: as many as batch_norm_backward makes.
// So the CPU's planner does not offer this fusion. The op runs for every shape.

namespace scene::cpu {
namespace {

/// Two sums per channel, in front of the data gradient's scratch.
size_t bytes_of_sums(const Conv2dShape& shape) {
    return aligned_bytes(2 * static_cast<size_t>(shape.in_channels) * sizeof(double));
}

Tensor part(const Tensor& scratch, size_t first) {
    return {static_cast<char*>(scratch.data) + first, DType::U8, {scratch.elements() - static_cast<int64_t>(first)}};
}

} // namespace

size_t scratch_bytes(const Conv2dDataGradBnReduce<TensorSpec>& op, const Planning& cpu) {
    return bytes_of_sums(op.shape) + conv2d_scratch_bytes(cpu.threads, cpu.convolutions, op.shape, ConvPass::DataGrad);
}

void run(const Conv2dDataGradBnReduce<Tensor>& op, Context& cpu) {
    const Conv2dShape& shape = op.shape;
    const int64_t channels = shape.in_channels, elements = shape.x().elements();
    const float *x = floats(op.norm_x, shape.x(), "norm_x"), *mean = floats(op.mean, {channels}, "mean");
    const float *inv_std = floats(op.inv_std, {channels}, "inv_std"), *gamma = floats(op.gamma, {channels}, "gamma");
    const float* beta = floats(op.beta, {channels}, "beta");
    float* dz = floats(op.dz, shape.x(), "dz");
    float *dgamma = floats(op.dgamma, {channels}, "dgamma"), *dbeta = floats(op.dbeta, {channels}, "dbeta");
    double* sum = scratch_of<double>(op.scratch, bytes_of_sums(shape));
    double* sum_xhat = sum + channels;

    run(
        Conv2dDataGrad<Tensor>{
            .dx = op.dz, .dy = op.dy, .w = op.w, .scratch = part(op.scratch, bytes_of_sums(shape)), .shape = shape},
        cpu);
    std::fill_n(sum, 2 * channels, 0.0);
    for (int64_t row = 0; row < elements; row += channels) {
        for (int64_t c = 0; c < channels; ++c) {
            const float xhat = (x[row + c] - mean[c]) * inv_std[c];
            if (!(gamma[c] * xhat + beta[c] > 0)) dz[row + c] = 0;
            sum[c] += static_cast<double>(dz[row + c]);
            sum_xhat[c] += static_cast<double>(dz[row + c]) * static_cast<double>(xhat);
        }
    }
    std::copy_n(sum_xhat, channels, dgamma);
    std::copy_n(sum, channels, dbeta);
}

} // namespace scene::cpu
