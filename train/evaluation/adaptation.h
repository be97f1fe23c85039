#pragma once

// Test-time adaptation without gradients: AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566). A memory of the network's
// features of all labelled training clips votes for the class of a test clip, and test clips of a confident vote join
// the memory. Differences from the published code: the memory starts with the labelled clips alone (there: one random
// row of class 0 besides), and a vote's confidence is its largest share (there: the softmax of the shares, which for
// ten classes never exceeds e/(e + 9) = 0.23, so that the threshold meant always or never).

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device.h"

namespace scene {

struct AdaptationSettings {
    int64_t neighbours = 100; ///< k, >= 1
    double temperature = 0.1; ///< of the softmax over the neighbours' similarities, > 0
    double confidence = 0.5;  ///< least share of a vote that lets its clip join the memory; above 1: none does
    int64_t growth = 1000;    ///< clips that may join, >= 0; the memory is full afterwards
    int64_t batch = 64;       ///< clips that vote before the first of them may join
};

/// What the memory says about a clip.
struct Vote {
    int32_t label = 0; ///< first of equal maxima
    float share = 0;   ///< of the vote
    bool joined = false;
};

/// A memory of features, in the device's memory, and the votes of the nearest by cosine similarity.
class MemoryBank {
public:
    /// `features` [M, width] of any length (they are normalised) with `labels` [M], each in 0 .. classes - 1.
    MemoryBank(Device& device, std::span<const float> features, std::span<const int32_t> labels, int64_t width,
               int64_t classes, const AdaptationSettings& settings);
    ~MemoryBank();
    MemoryBank(const MemoryBank&) = delete;
    MemoryBank& operator=(const MemoryBank&) = delete;

    /// Votes for clips with these features [N, width], in this order and in batches; after each batch its confident
    /// clips join the memory with the label of the vote, in order, while there is room.
    std::vector<Vote> classify(std::span<const float> features);
    /// Forgets every clip that has joined.
    void reset();
    /// Clips in the memory, and how many of them have joined.
    int64_t size() const;
    int64_t joined() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace scene
