#include "kernels/cuda/common/mean_var_from_sums.h"

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

__global__ void __launch_bounds__(block_threads)
    subtract_squared_means(float* mean, float* variance, const float* sum, const float* square_sum, int channels,
                           double rows) {
    const int c = static_cast<int>(thread_in_grid());
    if (c >= channels) return;
    const double m = static_cast<double>(sum[c]) / rows;
    const double v = static_cast<double>(square_sum[c]) / rows - m * m;
    mean[c] = static_cast<float>(m);
    variance[c] = v < 0 ? 0.0f : static_cast<float>(v); // NaN is kept, so that the step is skipped
}

} // namespace

void mean_var_from_sums(Tensor mean, Tensor variance, Tensor sum, Tensor square_sum, int64_t rows,
                        cudaStream_t stream) {
    const int64_t channels = channels_of(mean, "mean");
    const Shape per_channel{channels};
    launch(subtract_squared_means, blocks_over(channels), dim3(block_threads), 0, stream,
           floats(mean, per_channel, "mean"), floats(variance, per_channel, "variance"),
           floats(sum, per_channel, "sum"), floats(square_sum, per_channel, "square_sum"), static_cast<int>(channels),
           static_cast<double>(rows));
}

} // namespace scene::cuda
