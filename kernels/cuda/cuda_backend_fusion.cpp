// Which fusions of batch norm and convolution the backend offers for a shape: those that are quicker on this device
// than the separate ops that they save. Times are remembered (PlanCache), so that every process decides alike.

#include <algorithm>
#include <functional>

#include "kernels/conv2d/stem.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/timing.h"
#include "kernels/cuda/trial_buffer.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

/// Seconds of the separate ops around a convolution, each measured with the kernels that would run.
class SeparateOps {
public:
    SeparateOps(PlanCache& times, DType activation, cudaStream_t stream)
        : times_(times), activation_(activation), stream_(stream) {}

    double statistics(const Shape& map) const {
        return seconds("batch_norm_statistics", map, [&] {
            const TrialBuffer x(map, activation_), moments({2, channels(map)}, DType::F32);
            const size_t bytes = batch_norm_statistics_scratch_bytes(map);
            const TrialBuffer scratch(bytes);
            const Tensor memory{scratch.get(), DType::U8, {static_cast<int64_t>(bytes)}};
            return settled_seconds(stream_, [&] {
                batch_norm_statistics(row(moments, 0, map), row(moments, 1, map), {x.get(), activation_, map}, memory,
                                      stream_);
            });
        });
    }
    double normalize(const Shape& map) const {
        return seconds("batch_norm_forward", map, [&] {
            const TrialBuffer x(map, activation_), y(map, activation_), affine({2, channels(map)}, DType::F32);
            return settled_seconds(stream_, [&] {
                batch_norm_forward({y.get(), activation_, map}, {x.get(), activation_, map}, row(affine, 0, map),
                                   row(affine, 1, map), {}, {}, stream_);
            });
        });
    }
    /// Of a norm with a relu behind it.
    double norm_backward(const Shape& map) const {
        return seconds("batch_norm_backward", map, [&] {
            const TrialBuffer x(map, activation_), dy(map, activation_), rows({6, channels(map)}, DType::F32);
            const size_t bytes = batch_norm_backward_scratch_bytes(map);
            const TrialBuffer scratch(bytes);
            const Tensor memory{scratch.get(), DType::U8, {static_cast<int64_t>(bytes)}};
            const Tensor in{x.get(), activation_, map}, gradient{dy.get(), activation_, map};
            return settled_seconds(stream_, [&] {
                batch_norm_backward(in, row(rows, 0, map), row(rows, 1, map), gradient, in, row(rows, 2, map),
                                    row(rows, 3, map), row(rows, 4, map), row(rows, 5, map), memory, {}, {}, stream_);
            });
        });
    }
    /// What a data gradient with the norm's sums leaves to do.
    double apply_gradient(const Shape& map) const {
        return seconds("batch_norm_apply_gradient", map, [&] {
            const TrialBuffer x(map, activation_), dz(map, activation_), rows({5, channels(map)}, DType::F32);
            const Tensor in{x.get(), activation_, map};
            return settled_seconds(stream_, [&] {
                batch_norm_apply_gradient(in, {dz.get(), activation_, map}, in, row(rows, 0, map), row(rows, 1, map),
                                          row(rows, 2, map), row(rows, 3, map), row(rows, 4, map), stream_);
            });
        });
    }
    /// From sums to moments, which a fused convolution leaves to do.
    double finish_statistics(const Shape& map) const {
        return seconds("moments_of_sums", {channels(map)}, [&] {
            const TrialBuffer rows({4, channels(map)}, DType::F32);
            return settled_seconds(stream_, [&] {
                moments_of_sums(row(rows, 0, map), row(rows, 1, map), row(rows, 2, map), row(rows, 3, map),
                                map.elements() / channels(map), stream_);
            });
        });
    }
    /// Scale and shift in the activation type, which a fused convolution reads.
    double cast_affine(const Shape& map) const {
        return 2 * seconds("convert", {channels(map)}, [&] {
                   const Shape per_channel{channels(map)};
                   const TrialBuffer from(per_channel, DType::F32), to(per_channel, activation_);
                   return settled_seconds(stream_, [&] {
                       convert({to.get(), activation_, per_channel}, {from.get(), DType::F32, per_channel}, stream_);
                   });
               });
    }

private:
    static int64_t channels(const Shape& map) { return map[map.rank() - 1]; }
    static Tensor row(const TrialBuffer& rows, int64_t index, const Shape& map) {
        return {static_cast<float*>(rows.get()) + index * channels(map), DType::F32, {channels(map)}};
    }
    double seconds(const char* op, const Shape& shape, const std::function<double()>& measure) const {
        const std::string name = fmt::format("{} {} {}", op, name_of(activation_), shape.text());
        if (!times_.find(name)) times_.add(name, "kernel", 1e6 * measure());
        return 1e-6 * times_.find(name)->microseconds;
    }

    PlanCache& times_;
    DType activation_;
    cudaStream_t stream_;
};

} // namespace

ConvFusion CudaBackend::conv2d_fusion(const Conv2dShape& shape) const {
    for (const auto& [known, fusion] : chosen_fusions_)
        if (known == shape) return fusion;
    chosen_fusions_.emplace_back(shape, choose_fusion(shape));
    return chosen_fusions_.back().second;
}

/// Why not is in the library's choices, for the report.
bool CudaBackend::can_fuse(const ConvolutionTask& task) const {
    if (!convolutions_->offers(task)) return false;
    try {
        (void)convolutions_->scratch_bytes(task);
        return true;
    } catch (const BrokenDevice&) { throw; } catch (const Error& error) {
        if (fusions_ == Fusions::Always)
            fail("fusions \"always\": {}; \"quickest\" and \"never\" do without", error.what());
        return false;
    }
}

/// The library reads a normalised input only where it also gives statistics, so the former comes with the latter.
ConvFusion CudaBackend::choose_fusion(const Conv2dShape& shape) const {
    const ConvolutionTask plain{shape, ConvPass::Forward, {}}, plain_grad{shape, ConvPass::WeightGrad, {}};
    const ConvolutionTask sums{shape, ConvPass::Forward, {.normalize_input = false, .statistics = true}};
    const ConvolutionTask all{shape, ConvPass::Forward, {.normalize_input = true, .statistics = true}};
    const ConvolutionTask all_grad{shape, ConvPass::WeightGrad, {.normalize_input = true, .statistics = false}};
    const ConvolutionTask plain_data_grad{shape, ConvPass::DataGrad, {}};
    const ConvolutionTask into_norm{shape, ConvPass::DataGrad, {.bn_reduce = true}};
    ConvFusion fusion{.bias_relu = true, .closed_form_bn = conv2d_bn_relu_suits(shape)};
    if (conv2d_stem_suits(shape) || fusions_ == Fusions::Never) return fusion;
    ConvFusion wanted{.normalize_input = true, .statistics = true, .bn_reduce = true};
    if (shape.full_batch > 0) {
        Conv2dShape full = shape;
        full.batch = shape.full_batch;
        full.full_batch = 0;
        wanted = conv2d_fusion(full);
    } else if (fusions_ == Fusions::Quickest && !convolutions_->seconds(plain)) {
        return fusion;
    }
    fusion.statistics = wanted.statistics && can_fuse(sums);
    fusion.normalize_input = wanted.normalize_input && fusion.statistics && can_fuse(all) && can_fuse(all_grad);
    fusion.bn_reduce = wanted.bn_reduce && can_fuse(into_norm);
    if (fusions_ == Fusions::Always || shape.full_batch > 0) return fusion;

    const SeparateOps ops(convolutions_->times(), activation_, stream_);
    const auto seconds = [&](const ConvolutionTask& task) { return convolutions_->seconds(task).value(); };
    if (fusion.bn_reduce)
        fusion.bn_reduce = seconds(into_norm) + ops.apply_gradient(shape.x()) <
                           seconds(plain_data_grad) + ops.norm_backward(shape.x());
    if (!fusion.statistics) return fusion;
    const double separate = seconds(plain) + ops.statistics(shape.y());
    const double with_sums = seconds(sums) + ops.finish_statistics(shape.y());
    fusion.statistics = with_sums < separate;
    if (!fusion.normalize_input) return fusion;
    // A training step normalises the input once in its forward pass and once again for the weight gradient.
    const double stored_input = std::min(separate, with_sums) + seconds(plain_grad) + 2 * ops.normalize(shape.x());
    const double raw_input =
        seconds(all) + ops.finish_statistics(shape.y()) + seconds(all_grad) + ops.cast_affine(shape.x());
    fusion.normalize_input = raw_input < stored_input;
    fusion.statistics = fusion.statistics || fusion.normalize_input;
    return fusion;
}

} // namespace scene::cuda
