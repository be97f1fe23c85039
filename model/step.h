#pragma once

#include "model/networks/network.h"

namespace scene {

/// The settings of a training or inference step.
struct StepConfig {
    ModelConfig model;
    int64_t batch = 64; ///< N
    int64_t rows = 1;   ///< R: clips in the feature store
    float label_smoothing = 0;
    AdamSettings adam;
    float decoupled_decay = 0; ///< AdamW's weight decay, of parameters with two or more axes (not biases and norms)
    bool embeddings = false;   ///< the inference step also writes the table "embedding"
    Augmentation augmentation; ///< of training batches; the inference step ignores it
};

/// Names of the tables that are described at build_training_step.
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

/// Builds one training step of batch size N = config.batch: gather, augment, forward, loss, metrics, backward, Adam
/// and weight decay; then control.cursor += N and, unless Adam skipped the step, control.step += 1.
///
/// A step gathers its batch from tables in device memory and writes its results there:
///
/// External:  "features"      [R, T, F] F32  the store's log-mel
/// State:     "order"         [R + B] I32    the epoch's clips; a batch starts at control.cursor; -1: padding slot
///            "target"        [R, K] F32     class distribution of every clip; zeros: unlabelled
///            "weight"        [R] F32        sample weight
///            "city"          [R] I32        multimodal models only; -1: unknown
///            "time"          [R, 8] F32     multimodal models only; zeros: unknown
///            "probabilities" [R, K] F32     softmax outputs, written by the inference step
///            "embedding"     [R, D] F32     the classifier's input, written by it with StepConfig::embeddings
///            "loss_sum"      [1] F64        sum of the losses since it was last set to zero
///            "confusion"     [K, K] I32     counts [true][predicted] since they were last set to zero
///            "control"       U8             StepControl
///
/// B = `max_batch` is the largest batch of the run, the same for all programs that share `variables`.
///
/// Augmentation adds ops only if it is on. Under mixup a mixed clip has the city and time of the clip with the larger
/// share, and the confusion counts the largest entry of the mixed target as the truth.
///
/// If the device's activation type is F16 or BF16, the convolutional part runs in it. In F16 gradients are multiplied
/// by control.loss_scale, which the step adjusts. Setup ops then copy the parameters to that type: run them
/// (Executor::setup) whenever the parameters were set from outside.
Program build_training_step(const Planner& planner, Variables& variables, const StepConfig& config, int64_t max_batch);

/// Builds one inference step on the same tables: gather, forward, loss, metrics, scatter of the probabilities;
/// control.cursor += N. Run its setup ops (Executor::setup) after every change of the parameters.
Program build_inference_step(const Planner& planner, Variables& variables, const StepConfig& config, int64_t max_batch);

/// The variables that an inference program of the model declares, parameters and running statistics among them. Needs
/// no device.
Variables declared_variables(StepConfig config);

/// The different convolution shapes of a step, for Device::autotune. Needs no device.
std::vector<Conv2dShape> convolution_shapes(const StepConfig& config, Mode mode, int64_t max_batch);

} // namespace scene
