#pragma once

#include "model/networks/network.h"

namespace scene {

/// What a step needs to know besides the network.
struct StepConfig {
    ModelConfig model;
    int64_t batch = 64; ///< N
    int64_t rows = 1;   ///< R: clips in the feature store
    float label_smoothing = 0;
    AdamSettings adam;
    float decoupled_decay = 0; ///< AdamW's weight decay: of parameters with two axes or more, not of biases and norms
    bool embeddings = false;   ///< the inference step also writes the table "embedding"
    Augmentation augmentation; ///< of training batches; inference never augments
};

/// Names of the variables and the external tensor below.
namespace tables {
constexpr const char* features = "features";
constexpr const char* order = "order";
constexpr const char* target = "target";
constexpr const char* weight = "weight";
constexpr const char* city = "city";
constexpr const char* time = "time";
constexpr const char* probabilities = "probabilities";
constexpr const char* embedding = "embedding";
constexpr const char* loss_sum = "loss_sum";
constexpr const char* confusion = "confusion";
constexpr const char* control = "control";
} // namespace tables

/// The tables a step gathers its batch from and writes its results to.
///
/// External:  "features"      [R, T, F] f32  the store's log-mel
/// State:     "order"         [R + N] I32    this epoch's clips from position control.cursor on; -1 = padding slot
///            "target"        [R, K] f32     class distribution of every clip; zeros = unlabelled
///            "weight"        [R] f32        sample weight
///            "city"          [R] I32        multimodal models
///            "time"          [R, 8] f32     multimodal models
///            "probabilities" [R, K] f32     softmax outputs, written by the inference step
///            "embedding"     [R, D] f32     what the classifier reads, where asked for
///            "loss_sum"      [1] F64        metrics since they were last set to zero
///            "confusion"     [K, K] I32     [true][predicted]
///            "control"       U8             StepControl
/// N in "order" is the largest batch of the run: `max_batch` below.
///
/// One training step: gather, augmentation, forward, loss, backward, Adam, metrics; control.cursor += N,
/// control.step += 1. Where nothing is augmented there are no ops for it. Under mixup a clip's city and time stay those
/// of the clip with the larger share, and the confusion counts the largest entry of the mixed target.
/// On a device whose activations are F16 the convolutional part is F16, gradients carry control.loss_scale, which the
/// step adjusts, and setup ops copy the parameters to F16: run them (Executor::setup) before the first step after the
/// parameters were set.
/// `max_batch` must be the same for all programs that share `variables`.
Program build_training_step(const Planner& planner, Variables& variables, const StepConfig& config, int64_t max_batch);

/// One inference step: gather, forward, softmax, metrics, probabilities; control.cursor += N. Run its setup ops
/// (Executor::setup) after every change of parameters.
Program build_inference_step(const Planner& planner, Variables& variables, const StepConfig& config, int64_t max_batch);

/// The parameters and running statistics of the model, as every program of it declares them. Needs no device.
Variables declared_variables(StepConfig config);

/// The convolutions of a step, for Device::autotune. Needs no device.
std::vector<Conv2dShape> convolution_shapes(const StepConfig& config, Mode mode, int64_t max_batch);

} // namespace scene
