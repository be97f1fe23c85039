// What a convolution of CudaBackend gives besides its output when a batch norm's work is fused into it, op by op
// against a few lines here: on the emulator by stand-ins, on a GPU by cuDNN's fused engines. A failure names the
// engines.

#include <cmath>

#include "kernels/error.h"
#include "tests/cuda_on_cpu/support.h"

#if defined(SCENE_ON_GPU)
#include "kernels/cuda/cuda_device.h"
#else
#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_cpu/library_stand_ins.h"
#endif

namespace scene::test {
namespace {

std::unique_ptr<Backend> half_backend(Fusions fusions) {
#if defined(SCENE_ON_GPU)
    return make_cuda_device({.precision = Precision::Fp16, .fusions = fusions});
#else
    return std::make_unique<cuda::CudaBackend>(DType::F16, convolutions_on_cpu(DType::F16), gemm_on_cpu(), nullptr,
                                               fusions);
#endif
}

/// In the order in which they were first needed.
std::string engines_of(const Backend& backend) {
    std::string text;
    for (const ConvChoice& choice : backend.conv2d_report().choices)
        if (choice.ran) text += "\n  " + choice.pass + ": " + choice.engine;
    return text;
}

constexpr Conv2dShape shapes[] = {{2, 12, 8, 16, 24}, {3, 9, 7, 32, 16, 1, 1, 0}};

/// Sums of halves' products, rounded to half once.
constexpr Tolerance rounded_once{.relative = 0x1p-10, .of_largest = 1e-3};
/// Sums may be of the output before it was rounded: then each term is off by half an ulp, either way.
constexpr Tolerance of_sums{.relative = 1e-3, .of_largest = 1e-3};

struct FusedConvolution {
    const Conv2dShape shape;
    const std::unique_ptr<Backend> fused = half_backend(Fusions::Always), separate = half_backend(Fusions::Never);
    const int64_t in = shape.in_channels, out = shape.out_channels;
    const Guarded x = stored_as(DType::F16, uniform(shape.x(), 1)), w = stored_as(DType::F16, uniform(shape.w(), 2)),
                  dy = stored_as(DType::F16, uniform(shape.y(), 3));

    static OnDevice half(const Guarded& values) { return OnDevice(values, DType::F16); }
    /// The backend's stream does not wait for the copies of OnDevice.
    static void await_copies() { SCENE_CUDA(cudaStreamSynchronize(nullptr)); }
    /// On the host again when the backend is done.
    static Guarded host(Backend& backend, const OnDevice& tensor) {
        backend.synchronize();
        return tensor.host();
    }
    Guarded forward(Backend& backend, const Guarded& input, const ConvExtras& extras) const {
        const OnDevice y(shape.y(), DType::F16), from = half(input), weights = half(w);
        const OnDevice scratch = scratch_on_device(backend.conv2d_scratch_bytes(shape, ConvPass::Forward));
        await_copies();
        backend.conv2d_forward(y, from, weights, scratch, shape, extras);
        return host(backend, y);
    }
    Guarded weight_grad(Backend& backend, const Guarded& input, const Tensor& scale, const Tensor& shift) const {
        const OnDevice dw(shape.w()), from = half(input), gradient = half(dy);
        const OnDevice scratch = scratch_on_device(backend.conv2d_scratch_bytes(shape, ConvPass::WeightGrad));
        await_copies();
        backend.conv2d_weight_grad(dw, gradient, from, scratch, shape, scale, shift);
        return host(backend, dw);
    }
    /// Mean and biased variance of each channel.
    static std::pair<std::vector<double>, std::vector<double>> moments_of(const Guarded& y) {
        const auto channels = static_cast<size_t>(y.shape()[3]), values = static_cast<size_t>(y.shape().elements());
        std::vector<double> mean(channels), variance(channels);
        const double rows = static_cast<double>(values / channels);
        for (size_t i = 0; i < values; ++i) mean[i % channels] += static_cast<double>(y.floats()[i]) / rows;
        for (size_t i = 0; i < values; ++i) {
            const double deviation = static_cast<double>(y.floats()[i]) - mean[i % channels];
            variance[i % channels] += deviation * deviation / rows;
        }
        return {mean, variance};
    }
    Guarded normalized(const Guarded& scale, const Guarded& shift) const {
        Guarded z(x);
        for (size_t i = 0; i < z.floats().size(); ++i) {
            const auto c = static_cast<int64_t>(i) % in;
            z.floats()[i] = std::max(0.0f, scale[c] * x.floats()[i] + shift[c]);
        }
        return stored_as(DType::F16, z);
    }

    void everything_is_fused() const {
        const ConvFusion fusion = fused->conv2d_fusion(shape);
        EXPECT_TRUE(fusion.statistics && fusion.normalize_input && fusion.bn_reduce) << "the rest would test nothing";
    }

    void sums_become_moments() const {
        const OnDevice mean({out}), variance({out});
        ConvExtras extras;
        extras.mean = mean;
        extras.variance = variance;
        const Guarded y = forward(*fused, x, extras);
        EXPECT_TRUE(all_close(y.floats(), forward(*separate, x, {}).floats(), rounded_once, "y")) << engines_of(*fused);
        const auto [expected_mean, expected_variance] = moments_of(y);
        EXPECT_TRUE(close(host(*fused, mean), expected_mean, of_sums, "mean")) << engines_of(*fused);
        EXPECT_TRUE(close(host(*fused, variance), expected_variance, of_sums, "variance")) << engines_of(*fused);
    }

    void the_input_is_normalized() const {
        const Guarded scale = stored_as(DType::F16, uniform({in}, 4)), shift = stored_as(DType::F16, uniform({in}, 5));
        const OnDevice device_scale = half(scale), device_shift = half(shift), mean({out}), variance({out});
        ConvExtras extras;
        extras.mean = mean;
        extras.variance = variance;
        extras.input_scale = device_scale;
        extras.input_shift = device_shift;
        const Guarded z = normalized(scale, shift);
        const Guarded y = forward(*fused, x, extras);
        EXPECT_TRUE(all_close(y.floats(), forward(*separate, z, {}).floats(), rounded_once, "y")) << engines_of(*fused);
        const auto [expected_mean, expected_variance] = moments_of(y);
        EXPECT_TRUE(close(host(*fused, mean), expected_mean, of_sums, "mean")) << engines_of(*fused);
        EXPECT_TRUE(close(host(*fused, variance), expected_variance, of_sums, "variance")) << engines_of(*fused);
        EXPECT_TRUE(all_close(weight_grad(*fused, x, device_scale, device_shift).floats(),
                              weight_grad(*separate, z, {}, {}).floats(), rounded_once, "dw"))
            << engines_of(*fused);
    }

    /// z = gamma*(x - mean)*inv_std + beta; dz is dx where z > 0, dbeta its sum and dgamma that of dz*(x -
    /// mean)*inv_std.
    void the_gradient_is_summed() const {
        const Guarded mean = uniform({in}, 4), inv_std = uniform({in}, 5), gamma = uniform({in}, 6),
                      beta = uniform({in}, 7);
        const OnDevice gradient = half(dy), weights = half(w), norm_x = half(x);
        const OnDevice d_mean(mean), d_inv_std(inv_std), d_gamma(gamma), d_beta(beta);
        const OnDevice dz(shape.x(), DType::F16), dx(shape.x(), DType::F16), dgamma({in}), dbeta({in});
        const OnDevice scratch = scratch_on_device(fused->conv2d_scratch_bytes(shape, ConvPass::DataGrad));
        const OnDevice plain_scratch = scratch_on_device(separate->conv2d_scratch_bytes(shape, ConvPass::DataGrad));
        await_copies();
        fused->conv2d_data_grad_norm(dz, dgamma, dbeta, gradient, weights, norm_x, d_mean, d_inv_std, d_gamma, d_beta,
                                     scratch, shape);
        separate->conv2d_data_grad(dx, gradient, weights, plain_scratch, shape);
        Guarded expected = host(*separate, dx);
        const Guarded actual = host(*fused, dz);
        std::vector<double> sum(static_cast<size_t>(in)), sum_normed(static_cast<size_t>(in));
        for (size_t i = 0; i < expected.floats().size(); ++i) {
            const size_t c = i % static_cast<size_t>(in);
            const auto at = static_cast<int64_t>(c);
            const double normed = (static_cast<double>(x.floats()[i]) - mean[at]) * inv_std[at];
            if (gamma[at] * normed + beta[at] <= 0) expected.floats()[i] = 0;
            sum[c] += expected.floats()[i];
            sum_normed[c] += expected.floats()[i] * normed;
        }
        EXPECT_TRUE(all_close(actual.floats(), expected.floats(), rounded_once, "dz")) << engines_of(*fused);
        EXPECT_TRUE(close(host(*fused, dbeta), sum, of_sums, "dbeta")) << engines_of(*fused);
        EXPECT_TRUE(close(host(*fused, dgamma), sum_normed, of_sums, "dgamma")) << engines_of(*fused);
    }

    /// The fused engines carry no notes, so that nothing else says it.
    void the_same_bits_twice() const {
        const Guarded one = uniform({in}, 4);
        const OnDevice mean({out}), variance({out}), scale = half(one), shift = half(one);
        ConvExtras extras;
        extras.mean = mean;
        extras.variance = variance;
        extras.input_scale = scale;
        extras.input_shift = shift;
        const auto all = [&] {
            std::vector<Guarded> results{forward(*fused, x, extras), host(*fused, mean), host(*fused, variance)};
            results.push_back(weight_grad(*fused, x, scale, shift));
            return results;
        };
        const std::vector<Guarded> first = all(), second = all();
        const char* names[] = {"y", "mean", "variance", "dw"};
        for (size_t i = 0; i < first.size(); ++i)
            EXPECT_TRUE(first[i].same_bytes(second[i])) << names[i] << engines_of(*fused);
    }
};

void for_each_shape(void (FusedConvolution::*check)() const) {
    for (const Conv2dShape& shape : shapes) {
        SCOPED_TRACE(shape.x().text() + " " + shape.w().text());
        (FusedConvolution{shape}.*check)();
    }
}

TEST(GpuFusions, EverythingIsFused) { for_each_shape(&FusedConvolution::everything_is_fused); }
TEST(GpuFusions, SumsBecomeTheMomentsOfTheOutput) { for_each_shape(&FusedConvolution::sums_become_moments); }
TEST(GpuFusions, TheInputIsNormalizedOnTheWay) { for_each_shape(&FusedConvolution::the_input_is_normalized); }
TEST(GpuFusions, TheGradientGoesThroughReluIntoTheNormsSums) {
    for_each_shape(&FusedConvolution::the_gradient_is_summed);
}
TEST(GpuFusions, TheSameBitsTwice) { for_each_shape(&FusedConvolution::the_same_bits_twice); }

} // namespace
} // namespace scene::test
