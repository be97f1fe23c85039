#pragma once

// Counter-based random numbers, the same bits on host and device: Philox4x32-10 of Salmon et al.,
// "Parallel random numbers: as easy as 1, 2, 3" (SC'11). There is no state: a draw is a function of
// (seed, stream, step, index), so a backward pass recomputes its forward pass's dropout mask instead of storing it.

#include <cstdint>

#include "kernels/host_device.h"

namespace scene {

struct PhiloxBlock {
    uint32_t word[4];
};

/// Ten rounds of Philox4x32 on the 128-bit `counter` with the 64-bit key `key0`, `key1`.
SCENE_HOST_DEVICE inline PhiloxBlock philox4x32(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t product0 = static_cast<uint64_t>(0xD2511F53u) * counter.word[0];
        const uint64_t product1 = static_cast<uint64_t>(0xCD9E8D57u) * counter.word[2];
        counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
                    static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

/// Four random words. `stream` names the consumer (one for each dropout layer, say), `step` the training step, `block`
/// the position in the stream.
SCENE_HOST_DEVICE inline PhiloxBlock random_block(uint64_t seed, uint32_t stream, uint32_t step, uint64_t block) {
    const PhiloxBlock counter = {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), step, stream}};
    return philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// The word of element `index`: element i takes word i % 4 of block i / 4.
SCENE_HOST_DEVICE inline uint32_t random_word(uint64_t seed, uint32_t stream, uint32_t step, uint64_t index) {
    return random_block(seed, stream, step, index / 4).word[index % 4];
}

/// Uniform in [0, 1), from the top 24 bits of the word, which are exact in float.
SCENE_HOST_DEVICE inline float uniform_of(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

/// Dropout with probability `p`, 0 <= p < 1, drops the elements whose random word is below this threshold.
SCENE_HOST_DEVICE inline uint32_t dropout_threshold(float p) {
    return static_cast<uint32_t>(static_cast<double>(p) * 4294967296.0);
}

} // namespace scene
