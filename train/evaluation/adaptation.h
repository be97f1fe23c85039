#pragma once

// Test-time adaptation without gradients: AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566). A memory holds the
// network's features of all labelled training clips. Its nearest neighbours vote for the class of a test clip, and test
// clips with a confident vote are added to it. Two differences from the published code:
// - The memory starts with the labelled clips alone. There it also starts with one random row of class 0.
// - The confidence of a vote is its largest share. There it is the softmax of the shares, which for ten classes never
//   exceeds e/(e + 9) = 0.23, so that every threshold accepts all votes or none.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device.h"

namespace scene {

struct AdaptationSettings {
    int64_t neighbours = 100; ///< k, >= 1
    double temperature = 0.1; ///< of the softmax over the neighbours' similarities, > 0
    double confidence = 0.5;  ///< a clip joins the memory if the largest share of its vote is at least this
    int64_t growth = 1000;    ///< the most clips that may join, >= 0
    int64_t batch = 64;       ///< clips are classified in batches of this size; they join after their batch
};

/// The result of a clip's vote.
struct Vote {
    int32_t label = 0;   ///< the class with the largest share; the first of equal maxima
    float share = 0;     ///< its share
    bool joined = false; ///< the clip has joined the memory
};

/// A memory of features, on the device, whose nearest neighbours by cosine similarity vote.
class MemoryBank {
public:
    /// `features` [M, width], M >= 1, are normalised to length 1. `labels` [M] are in 0 .. classes - 1.
    MemoryBank(Device& device, std::span<const float> features, std::span<const int32_t> labels, int64_t width,
               int64_t classes, const AdaptationSettings& settings);
    ~MemoryBank();
    MemoryBank(const MemoryBank&) = delete;
    MemoryBank& operator=(const MemoryBank&) = delete;

    /// Classifies the clips with these features [N, width], in this order and in batches. After each batch its
    /// confident clips join the memory, in order, with the label of their vote, while there is room.
    std::vector<Vote> classify(std::span<const float> features);
    /// Removes every clip that has joined.
    void reset();
    /// Clips in the memory, and how many of them have joined.
    int64_t size() const;
    int64_t joined() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace scene
