#include "kernels/draw_augmentation/augmentation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/error.h"

namespace scene {
namespace {

/// The integral of (t (1 - t))^(a - 1) from 0 to x <= 1/2 with a = alpha, by a series of positive terms:
/// x^a (1 - x)^a/a * sum over k of (2a)_k/(a + 1)_k x^k, where (.)_k is the rising factorial.
double incomplete_beta(double alpha, double x) {
    double term = 1, sum = 1;
    for (int k = 0; term > 1e-17 * sum; ++k) sum += term *= x * (2 * alpha + k) / (alpha + 1 + k);
    return std::pow(x * (1 - x), alpha) / alpha * sum;
}

void check(bool holds, const char* what, double value) {
    SCENE_CHECK(holds, fmt::format("augmentation: {} is {}", what, value));
}

void check_probability(float probability, float alpha, const char* what) {
    check(probability >= 0 && probability <= 1, what, static_cast<double>(probability));
    check(alpha >= 0 && std::isfinite(alpha), what, static_cast<double>(alpha));
}

uint64_t threshold_of(bool used, float probability) {
    return used ? static_cast<uint64_t>(static_cast<double>(probability) * 0x1p32) : 0;
}

} // namespace

SymmetricBeta SymmetricBeta::of(double alpha) {
    SymmetricBeta out{};
    const double half = incomplete_beta(alpha, 0.5);
    for (int i = 1; i < intervals; ++i) {
        double low = 0, high = 0.5;
        for (int halving = 0; halving < 40; ++halving) {
            const double middle = (low + high) / 2;
            (incomplete_beta(alpha, middle) * intervals < half * i ? low : high) = middle;
        }
        out.quantile[i] = static_cast<uint32_t>(std::lround(low * 0x1p32));
    }
    out.quantile[intervals] = 0x80000000u;
    // The ends of an interval have the distances a and b from 1/2, and its mean squared distance is (a^2 + ab + b^2)/3.
    // The outermost a is chosen so that the mean over all intervals is the variance, 1/(4 (2 alpha + 1)). It is
    // clamped, because no quantile is below 0, where alpha < 1 has its mass.
    const auto distance = [&](int i) { return 0.5 - out.quantile[i] * 0x1p-32; };
    double rest = 3.0 * intervals / (4 * (2 * alpha + 1));
    for (int i = 1; i < intervals; ++i)
        rest -= distance(i) * distance(i) + distance(i) * distance(i + 1) + distance(i + 1) * distance(i + 1);
    const double b = distance(1), a = (std::sqrt(std::max(0.0, 4 * rest - 3 * b * b)) - b) / 2;
    out.quantile[0] = static_cast<uint32_t>(std::lround((0.5 - std::clamp(a, b, 0.5)) * 0x1p32));
    return out;
}

AugmentationSampler::AugmentationSampler(const Augmentation& wanted) : settings(wanted), style{}, mixup{} {
    const auto check_masks = [](int64_t count, int64_t width, const char* what) {
        check(count >= 0 && count <= max_masks, what, static_cast<double>(count));
        check(width >= 0, what, static_cast<double>(width));
    };
    check(wanted.roll >= 0, "roll", static_cast<double>(wanted.roll));
    check(wanted.gain >= 0 && std::isfinite(wanted.gain), "gain", static_cast<double>(wanted.gain));
    check_masks(wanted.frequency_masks, wanted.frequency_mask, "the number or width of frequency masks");
    check_masks(wanted.time_masks, wanted.time_mask, "the number or width of time masks");
    check_probability(wanted.style_probability, wanted.style_alpha, "the probability or alpha of Freq-MixStyle");
    check_probability(wanted.mixup_probability, wanted.mixup_alpha, "the probability or alpha of mixup");
    if (wanted.styles()) style = SymmetricBeta::of(static_cast<double>(wanted.style_alpha));
    if (wanted.mixes()) mixup = SymmetricBeta::of(static_cast<double>(wanted.mixup_alpha));
    style_threshold = threshold_of(wanted.styles(), wanted.style_probability);
    mixup_threshold = threshold_of(wanted.mixes(), wanted.mixup_probability);
}

} // namespace scene
