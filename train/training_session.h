#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/store/feature_store.h"
#include "model/step_runner.h"
#include "train/metrics.h"

namespace scene {

/// The result of a pass over some clips.
struct PassResult {
    double loss_sum = 0; ///< sum of the weighted losses; without label smoothing a clip without a target adds 0
    Confusion confusion; ///< over the clips that have a target
    bool finite = true;  ///< of the loss and of gradients at loss scale 1; a training pass stops soon after one is not
    int64_t clips = 0;   ///< the clips that were processed
};

/// Called between steps with the number of clips done so far. An exception ends the pass.
using PassProgress = std::function<void(int64_t done)>;

/// Training and inference passes of one model over the clips of one store. Row r of every table is clip r of the store.
class TrainingSession {
public:
    /// Inference is in batches of `settings.batch`; settings.rows is not used. There is a training program for every
    /// size in `training_batches`, each at most settings.batch (empty: inference only). `city` [R]: index into the
    /// model's cities, -1: unknown.
    TrainingSession(Device& device, const FeatureStore& store, const StepConfig& settings,
                    const std::vector<int64_t>& training_batches, std::span<const int32_t> city);
    Executor& executor() { return runner_.executor(); }
    const Executor& executor() const { return runner_.executor(); }
    int64_t rows() const { return runner_.config().rows; }
    int64_t classes() const { return runner_.config().model.classes; }
    /// Whether there is a training program for each of these batch sizes.
    bool trains(const std::vector<int64_t>& batches) const;

    /// Initialises parameters and running statistics (model/initialize.h).
    void initialize(uint64_t seed) { runner_.initialize(seed); }
    /// Zeros Adam's moments and its step count and resets the loss scale. `seed` becomes the key of dropout masks and
    /// augmentation.
    void restart_optimizer(uint64_t seed);

    void set_targets(std::span<const float> targets) { runner_.set_targets(targets); } ///< [R, K]; zeros: unlabelled
    void set_weights(std::span<const float> weights) { runner_.set_weights(weights); } ///< [R]
    /// Equation (1) on the device: weights of `members` from the teacher's `probabilities` [R, K], scaled to mean 1; 1
    /// for all other clips.
    void set_hard_weights(std::span<const float> probabilities, std::span<const int32_t> members, Confidence measure);
    std::vector<float> weights() const { return runner_.weights(); }

    /// One training step per batch of `order`; the last batch may be smaller.
    PassResult train(std::span<const int32_t> order, double learning_rate, const PassProgress& progress);

    /// Predicts `clips`; afterwards `probabilities` has their rows. Call prepare_inference before it whenever the
    /// parameters have changed.
    PassResult infer(std::span<const int32_t> clips, const PassProgress& progress);
    void prepare_inference() { runner_.prepare_inference(); }
    std::vector<float> probabilities() const { return runner_.probabilities(); } ///< [R, K]
    /// The classifier's inputs [R, D], likewise. Only with StepConfig::embeddings.
    std::vector<float> embeddings() const { return runner_.embeddings(); }

private:
    void begin_pass(std::span<const int32_t> clips);
    bool finite() const;
    PassResult end_pass(int64_t clips) const;

    StepRunner runner_;
    int64_t batch_;
};

} // namespace scene
