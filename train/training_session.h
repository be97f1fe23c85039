#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/store/feature_store.h"
#include "model/step_runner.h"
#include "train/metrics.h"

namespace scene {

/// What a pass over some clips gave.
struct PassResult {
    double loss_sum = 0; ///< over the clips; 0 for those without a target in inference with zero weight
    Confusion confusion; ///< over the clips that have a target
    bool finite = true;  ///< loss and gradients; a training pass stops soon after the first that is not
    int64_t clips = 0;   ///< done
};

/// Called between steps with the clips done so far; a pass ends early when it throws.
using PassProgress = std::function<void(int64_t done)>;

/// Passes of one model over the clips of one store. Rows of every table are the store's clips.
class TrainingSession {
public:
    /// `settings.batch` clips per step; training programs also for every other size in `training_batches` (empty: the
    /// model is only run). `city` [clips]: index into the model's cities, -1 unknown.
    TrainingSession(Device& device, const FeatureStore& store, const StepConfig& settings,
                    const std::vector<int64_t>& training_batches, std::span<const int32_t> city);
    Executor& executor() { return runner_.executor(); }
    const Executor& executor() const { return runner_.executor(); }
    int64_t rows() const { return runner_.config().rows; }
    int64_t classes() const { return runner_.config().model.classes; }
    /// Whether there is a training program for each of these batch sizes.
    bool trains(const std::vector<int64_t>& batches) const;

    /// First values for every parameter and statistic.
    void initialize(uint64_t seed) { runner_.initialize(seed); }
    /// Zeros Adam's moments and its step count; `seed` keys the stage's dropout masks.
    void restart_optimizer(uint64_t seed);

    void set_targets(std::span<const float> targets) { runner_.set_targets(targets); } ///< [R, K]; zeros: unlabelled
    void set_weights(std::span<const float> weights) { runner_.set_weights(weights); } ///< [R]
    /// Equation (1) on the device: weights from `probabilities` [R, K] over `members`, mean 1; 1 for all others.
    void set_hard_weights(std::span<const float> probabilities, std::span<const int32_t> members, Confidence measure);
    std::vector<float> weights() const { return runner_.weights(); }

    /// One training step per batch of `order`, the last one smaller where the clips do not divide.
    PassResult train(std::span<const int32_t> order, double learning_rate, const PassProgress& progress);

    /// Predicts `clips` and counts those with a target. `probabilities` has their rows afterwards. Parameters must not
    /// have changed since the last `prepare_inference`.
    PassResult infer(std::span<const int32_t> clips, const PassProgress& progress);
    void prepare_inference() { runner_.prepare_inference(); }
    std::vector<float> probabilities() const { return runner_.probabilities(); } ///< [R, K]
    /// [R, D], likewise: what the classifier reads. Only with StepConfig::embeddings.
    std::vector<float> embeddings() const { return runner_.embeddings(); }

private:
    void begin_pass(std::span<const int32_t> clips);
    bool finite() const;
    PassResult end_pass(int64_t clips) const;

    StepRunner runner_;
    int64_t batch_;
};

} // namespace scene
