#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "model/executor.h"
#include "model/step.h"

namespace scene {

/// The batch sizes of a model's programs.
struct StepPrograms {
    std::vector<int64_t> training;
    int64_t inference = 0; ///< 0: no inference program
    int64_t max_batch = 0; ///< the largest batch of the run; 0, or smaller than one of these: the largest of these
};

/// A model on a device: its programs, and the arena with its variables, tables (model/step.h) and control block. R =
/// config.rows clips.
class StepRunner {
public:
    /// Autotunes the convolutions, builds the programs and allocates the arena. `config.batch` is not used. Weights
    /// start at 1, cities and times as unknown, the control block at its defaults.
    StepRunner(Device& device, const StepConfig& config, const StepPrograms& programs);
    StepRunner(const StepRunner&) = delete;
    StepRunner& operator=(const StepRunner&) = delete;

    Device& device() { return executor_->device(); }
    const StepConfig& config() const { return config_; }
    const Variables& variables() const { return variables_; }
    Executor& executor() { return *executor_; }
    const Executor& executor() const { return *executor_; }
    /// The training program of this batch size; std::logic_error if there is none.
    const Program& training(int64_t batch) const;
    /// Whether there is one.
    bool trains(int64_t batch) const { return training_.contains(batch); }
    const Program& inference() const { return inference_; }

    /// [R, T, F] F32. The memory must outlive the runner.
    void bind_features(std::span<const float> host);
    void bind_features(const Tensor& on_device);

    /// Initialises parameters and running statistics (model/initialize.h).
    void initialize(uint64_t seed);

    /// Starts a pass: "order" becomes `clips`, then padding slots; control.cursor = 0.
    void begin(std::span<const int32_t> clips);
    void set_targets(std::span<const float> targets); ///< [R, K]; zeros: unlabelled
    void set_weights(std::span<const float> weights); ///< [R]
    /// [R], [R, 8]; multimodal models only.
    void set_metadata(std::span<const int32_t> city, std::span<const float> time);
    Tensor weight_table() const; ///< in device memory

    StepControl control() const;
    void set_control(const StepControl& control);
    double loss_sum() const;
    std::vector<int32_t> confusion() const; ///< [K, K], [true][predicted]
    void clear_metrics();
    std::vector<float> weights() const;       ///< [R]
    std::vector<float> probabilities() const; ///< [R, K]
    std::vector<float> embeddings() const;    ///< [R, D]; only with StepConfig::embeddings

    /// Runs the setup ops of training: the F16 or BF16 copy of the parameters, if the device uses one. Call it after
    /// the parameters were set from outside.
    void prepare_training();
    /// Runs the setup ops of inference, which also fold batch norms and prepare weights. Call it after every change of
    /// the parameters, by training too.
    void prepare_inference();
    /// One step. `batch` is one of StepPrograms::training.
    void train(int64_t batch) { executor_->run(training(batch)); }
    void infer() { executor_->run(inference_); }

private:
    template <typename T> void upload(const char* table, std::span<const T> values);
    template <typename T> std::vector<T> download(const char* table) const;

    StepConfig config_;
    int64_t max_batch_;
    Variables variables_;
    std::map<int64_t, Program> training_; ///< by batch size
    Program inference_;
    std::unique_ptr<Executor> executor_;
};

} // namespace scene
