#include "kernels/cpu/dropout.h"

#include <algorithm>

#include "kernels/cpu/checks.h"
#include "kernels/philox.h"

namespace scene::cpu {
namespace {

constexpr int64_t lanes = 16, words = 4 * lanes;

void random_words(uint32_t* word, uint64_t first_block, uint32_t stream, const StepControl& control) {
#pragma omp simd
    for (int64_t lane = 0; lane < lanes; ++lane) {
        const PhiloxBlock block =
            random_block(control.seed, stream, control.step, first_block + static_cast<uint64_t>(lane));
        word[4 * lane] = block.word[0];
        word[4 * lane + 1] = block.word[1];
        word[4 * lane + 2] = block.word[2];
        word[4 * lane + 3] = block.word[3];
    }
}

} // namespace

void dropout_factors(float* factor, int64_t first, int64_t count, const Dropout& dropout, const StepControl& control) {
    const uint32_t threshold = dropout_threshold(dropout.p);
    const float kept = 1.0f / (1.0f - dropout.p);
    alignas(64) uint32_t word[words];
    int64_t skipped = first % 4;
    for (uint64_t block = static_cast<uint64_t>(first / 4); count > 0; block += lanes, skipped = 0) {
        random_words(word, block, dropout.stream, control);
        const int64_t taken = std::min(count, words - skipped);
#pragma omp simd
        for (int64_t i = 0; i < taken; ++i) factor[i] = word[skipped + i] < threshold ? 0.0f : kept;
        factor += taken;
        count -= taken;
    }
}

DropoutRows::DropoutRows(const Dropout& dropout, const Tensor& control) : dropout_(dropout) {
    SCENE_CHECK(dropout.p >= 0 && dropout.p < 1, fmt::format("dropout probability {} is not in [0, 1)", dropout.p));
    if (active()) control_ = step_control(control);
}

const float* DropoutRows::row(int64_t first, int64_t count) const {
    if (!active()) {
        static thread_local std::vector<float> ones;
        if (ones.size() < static_cast<size_t>(count)) ones.resize(static_cast<size_t>(count), 1.0f);
        return ones.data();
    }
    static thread_local std::vector<float> factors;
    if (factors.size() < static_cast<size_t>(count)) factors.resize(static_cast<size_t>(count));
    dropout_factors(factors.data(), first, count, dropout_, control_);
    return factors.data();
}

} // namespace scene::cpu
