#include "kernels/cpu/dropout.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/checks.h"
#include "kernels/philox.h"

namespace scene::cpu {
namespace {

constexpr int64_t lanes = 8, words = 4 * lanes;

/// `lanes` consecutive Philox blocks, as random_block gives them. Each 32-bit word lives in a 64-bit lane: products
/// need no repacking there, and only the low halves matter until the end.
void random_words(uint32_t* word, uint64_t first_block, uint32_t stream, const StepControl& control) {
    constexpr uint64_t low = 0xFFFFFFFFu;
    alignas(64) uint64_t pair[2 * lanes];
#pragma omp simd
    for (uint64_t lane = 0; lane < lanes; ++lane) {
        const uint64_t block = first_block + lane;
        uint64_t c0 = block, c1 = block >> 32, c2 = control.step, c3 = stream;
        uint64_t key0 = control.seed & low, key1 = control.seed >> 32;
        for (int round = 0; round < 10; ++round) {
            const uint64_t product0 = (c0 & low) * 0xD2511F53u, product1 = (c2 & low) * 0xCD9E8D57u;
            c0 = (product1 >> 32) ^ c1 ^ key0;
            c1 = product1;
            c2 = (product0 >> 32) ^ c3 ^ key1;
            c3 = product0;
            key0 = (key0 + 0x9E3779B9u) & low;
            key1 = (key1 + 0xBB67AE85u) & low;
        }
        pair[2 * lane] = (c0 & low) | c1 << 32;
        pair[2 * lane + 1] = (c2 & low) | c3 << 32;
    }
    std::memcpy(word, pair, sizeof pair);
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

DropoutRows::DropoutRows(const Dropout& dropout, const Tensor& control, int64_t longest_row, int threads, float* memory)
    : dropout_(dropout), scratch_{longest_row}, memory_(memory) {
    SCENE_CHECK(dropout.p >= 0 && dropout.p < 1, fmt::format("dropout probability {} is not in [0, 1)", dropout.p));
    if (active()) {
        control_ = step_control(control);
    } else {
        std::fill_n(memory, scratch_bytes(longest_row, threads) / sizeof(float), 1.0f);
    }
}

const float* DropoutRows::row(int64_t first, int64_t count) const {
    SCENE_CHECK(count <= scratch_.floats, fmt::format("a row of {} elements, of {} at most", count, scratch_.floats));
    float* factors = scratch_.own(memory_);
    if (active()) dropout_factors(factors, first, count, dropout_, control_);
    return factors;
}

} // namespace scene::cpu
