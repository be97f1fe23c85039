// Which fusions of batch norm and convolution a device offers for a shape: those that are quicker on it than the
// separate ops that they replace. Times are cached (PlanCache), so that every process decides the same.

#include <algorithm>
#include <functional>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv2d/stem.h"
#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"
#include "kernels/cuda/autotune/autotune_buffer.h"
#include "kernels/cuda/autotune/timing.h"
#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/common/mean_var_from_sums.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/gpu.h"
#include "kernels/error.h"
#include "kernels/op_fields.h"
#include "kernels/operands.h"

namespace scene::cuda {
namespace {

/// Seconds of the separate ops around a convolution, each measured with the kernels that run in a step.
class SeparateOps {
public:
    SeparateOps(PlanCache& times, DType activation, Context& cuda, const Planning& planning)
        : times_(times), activation_(activation), cuda_(cuda), planning_(planning) {}

    double statistics(const Shape& map) const {
        return seconds("batch_norm_statistics", map, [&] {
            const AutotuneBuffer x(map, activation_), moments({2, channels(map)}, DType::F32);
            return seconds_with_scratch(BatchNormStatistics<Tensor>{.mean = row(moments, 0, map),
                                                                    .variance = row(moments, 1, map),
                                                                    .x = Tensor{x.get(), activation_, map}});
        });
    }
    double normalize(const Shape& map) const {
        return seconds("batch_norm_forward", map, [&] {
            const AutotuneBuffer x(map, activation_), y(map, activation_), affine({2, channels(map)}, DType::F32);
            const BatchNormForward<Tensor> op{.y = Tensor{y.get(), activation_, map},
                                              .x = Tensor{x.get(), activation_, map},
                                              .scale = row(affine, 0, map),
                                              .shift = row(affine, 1, map),
                                              .epilogue = {}};
            return warm_seconds(cuda_.stream, [&] { run(op, cuda_); });
        });
    }
    /// Of a batch norm that is followed by a relu.
    double norm_backward(const Shape& map) const {
        return seconds("batch_norm_backward", map, [&] {
            const AutotuneBuffer x(map, activation_), dy(map, activation_), rows({6, channels(map)}, DType::F32);
            return seconds_with_scratch(BatchNormBackward<Tensor>{.dx = Tensor{x.get(), activation_, map},
                                                                  .dgamma = row(rows, 0, map),
                                                                  .dbeta = row(rows, 1, map),
                                                                  .dy = Tensor{dy.get(), activation_, map},
                                                                  .x = Tensor{x.get(), activation_, map},
                                                                  .mean = row(rows, 2, map),
                                                                  .inv_std = row(rows, 3, map),
                                                                  .scale = row(rows, 4, map),
                                                                  .shift = row(rows, 5, map),
                                                                  .epilogue = {}});
        });
    }
    /// What remains to be done after a data gradient with BN reduce.
    double apply_gradient(const Shape& map) const {
        return seconds("batch_norm_apply_gradient", map, [&] {
            const AutotuneBuffer x(map, activation_), dz(map, activation_), rows({5, channels(map)}, DType::F32);
            const BatchNormApplyGradient<Tensor> op{.dx = Tensor{x.get(), activation_, map},
                                                    .dz = Tensor{dz.get(), activation_, map},
                                                    .x = Tensor{x.get(), activation_, map},
                                                    .mean = row(rows, 0, map),
                                                    .inv_std = row(rows, 1, map),
                                                    .scale = row(rows, 2, map),
                                                    .dgamma = row(rows, 3, map),
                                                    .dbeta = row(rows, 4, map)};
            return warm_seconds(cuda_.stream, [&] { run(op, cuda_); });
        });
    }
    /// From sums to mean and variance: what remains to be done after a convolution with statistics.
    double finish_statistics(const Shape& map) const {
        return seconds("mean_var_from_sums", {channels(map)}, [&] {
            const AutotuneBuffer rows({4, channels(map)}, DType::F32);
            return warm_seconds(cuda_.stream, [&] {
                mean_var_from_sums(row(rows, 0, map), row(rows, 1, map), row(rows, 2, map), row(rows, 3, map),
                                   map.elements() / channels(map), cuda_.stream);
            });
        });
    }
    /// Casts scale and shift to the activation type, in which a convolution with a normalised input reads them.
    double cast_affine(const Shape& map) const {
        if (activation_ == DType::F32) return 0; // they are read as they are
        return 2 * seconds("convert", {channels(map)}, [&] {
                   const Shape per_channel{channels(map)};
                   const AutotuneBuffer from(per_channel, DType::F32), to(per_channel, activation_);
                   const Convert<Tensor> op{.y = Tensor{to.get(), activation_, per_channel},
                                            .x = Tensor{from.get(), DType::F32, per_channel}};
                   return warm_seconds(cuda_.stream, [&] { run(op, cuda_); });
               });
    }

private:
    template <template <class> class Op> double seconds_with_scratch(Op<Tensor> op) const {
        const auto spec = rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); });
        const size_t bytes = scratch_bytes(spec, planning_);
        const AutotuneBuffer scratch(bytes);
        op.scratch = Tensor{scratch.get(), DType::U8, {static_cast<int64_t>(bytes)}};
        return warm_seconds(cuda_.stream, [&] { run(op, cuda_); });
    }
    static int64_t channels(const Shape& map) { return map[map.rank() - 1]; }
    static Tensor row(const AutotuneBuffer& rows, int64_t index, const Shape& map) {
        return {static_cast<float*>(rows.get()) + index * channels(map), DType::F32, {channels(map)}};
    }
    double seconds(const char* op, const Shape& shape, const std::function<double()>& measure) const {
        const std::string name = fmt::format("{} {} {}", op, name_of(activation_), shape.text());
        if (!times_.find(name)) times_.add(name, "kernel", 1e6 * measure());
        return 1e-6 * times_.find(name)->microseconds;
    }

    PlanCache& times_;
    DType activation_;
    Context& cuda_;
    const Planning& planning_;
};

} // namespace

void TunedConvolutions::tune(const Conv2dShape& shape, Context* device) {
    check_convolution(shape);
    if (knows(shape)) return;
    if (shape.full_batch > 0) tune(shape.of_full_batch(), device);
    const ConvFusion fusion = choose_fusion(shape, device);
    if (!conv2d_stem_suits(shape, limits_))
        for (const ConvolutionTask& task : tasks_of(shape, fusion)) library_->choose(task);
    tuned_.emplace_back(shape, fusion);
}

std::optional<double> TunedConvolutions::seconds(const ConvolutionTask& task) {
    library_->choose(task);
    return library_->seconds(task);
}

/// Whether an engine runs this fused task. If not, the library's choices have the reason; with Fusions::Always it is an
/// Error.
bool TunedConvolutions::can_fuse(const ConvolutionTask& task) {
    if (!library_->offers(task)) return false;
    library_->choose(task);
    try {
        (void)library_->scratch_bytes(task);
        return true;
    } catch (const Error& error) {
        if (fusions_ == Fusions::Always)
            fail("fusions \"always\": {}; \"quickest\" and \"never\" do without", error.what());
        return false;
    }
}

/// In a forward pass cuDNN normalises the input only if it also writes statistics: normalize_input implies statistics.
ConvFusion TunedConvolutions::choose_fusion(const Conv2dShape& shape, Context* device) {
    const ConvolutionTask plain{shape, ConvPass::Forward, {}}, plain_grad{shape, ConvPass::WeightGrad, {}};
    const ConvolutionTask sums{shape, ConvPass::Forward, {.normalize_input = false, .statistics = true}};
    const ConvolutionTask all{shape, ConvPass::Forward, {.normalize_input = true, .statistics = true}};
    const ConvolutionTask all_grad{shape, ConvPass::WeightGrad, {.normalize_input = true, .statistics = false}};
    const ConvolutionTask rectified{shape, ConvPass::Forward, {.bias_relu = true}};
    const ConvolutionTask plain_data_grad{shape, ConvPass::DataGrad, {}};
    const ConvolutionTask bn_reduce{shape, ConvPass::DataGrad, {.bn_reduce = true}};
    const bool stem = conv2d_stem_suits(shape, limits_);
    ConvFusion fusion{.bias_relu = stem, .narrow_bias = !stem, .closed_form_bn = conv2d_bn_relu_suits(shape, limits_)};
    if (stem || fusions_ == Fusions::Never) return fusion;
    ConvFusion wanted{.normalize_input = true, .statistics = true, .bias_relu = true, .bn_reduce = true};
    if (shape.full_batch > 0) {
        wanted = this->fusion(shape.of_full_batch());
    } else if (fusions_ == Fusions::Quickest) {
        library_->choose(plain);
        if (!library_->seconds(plain)) return fusion;
    }
    fusion.statistics = wanted.statistics && can_fuse(sums);
    fusion.normalize_input = wanted.normalize_input && fusion.statistics && can_fuse(all) && can_fuse(all_grad);
    fusion.bias_relu = wanted.bias_relu && can_fuse(rectified);
    fusion.bn_reduce = wanted.bn_reduce && can_fuse(bn_reduce);
    if (fusions_ == Fusions::Always || shape.full_batch > 0) return fusion;

    SCENE_CHECK(device, "without a device nothing is measured");
    Context cuda = *device;
    const Planning planning{.convolutions = this, .limits = limits_};
    const SeparateOps ops(library_->times(), activation_, cuda, planning);
    // What there was no time to measure is not fused.
    const auto measured = [&](std::initializer_list<ConvolutionTask> tasks) {
        return std::all_of(tasks.begin(), tasks.end(), [&](const auto& task) { return seconds(task).has_value(); });
    };
    fusion.bn_reduce = fusion.bn_reduce && measured({bn_reduce, plain_data_grad});
    fusion.statistics = fusion.statistics && measured({sums, plain});
    fusion.normalize_input = fusion.normalize_input && fusion.statistics && measured({plain_grad, all, all_grad});
    fusion.bias_relu = fusion.bias_relu && measured({rectified, plain});
    if (fusion.bias_relu) fusion.bias_relu = *seconds(rectified) < *seconds(plain) + ops.normalize(shape.y());
    if (fusion.bn_reduce)
        fusion.bn_reduce = *seconds(bn_reduce) + ops.apply_gradient(shape.x()) <
                           *seconds(plain_data_grad) + ops.norm_backward(shape.x());
    if (!fusion.statistics) return fusion;
    const double separate = *seconds(plain) + ops.statistics(shape.y());
    const double with_sums = *seconds(sums) + ops.finish_statistics(shape.y());
    fusion.statistics = with_sums < separate;
    if (!fusion.normalize_input) return fusion;
    // A training step normalises the input once in its forward pass and once again for the weight gradient.
    const double stored_input = std::min(separate, with_sums) + *seconds(plain_grad) + 2 * ops.normalize(shape.x());
    const double raw_input =
        *seconds(all) + ops.finish_statistics(shape.y()) + *seconds(all_grad) + ops.cast_affine(shape.x());
    fusion.normalize_input = raw_input < stored_input;
    fusion.statistics = fusion.statistics || fusion.normalize_input;
    return fusion;
}

} // namespace scene::cuda
