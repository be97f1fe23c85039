#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "model/executor.h"
#include "model/step.h"

namespace scene {

/// Which steps of a model there are, by batch size.
struct StepPrograms {
    std::vector<int64_t> training;
    int64_t inference = 0; ///< 0: none
    int64_t max_batch = 0; ///< the largest batch of the run; 0: the largest of these
};

/// A model in a device's memory: its variables, the programs that train and run it, the one arena that they share, the
/// tables of a step (model/step.h) and its control block. R rows are the store's clips.
class StepRunner {
public:
    /// `config.batch` is not used: the batches are those of `programs`. Every weight is 1, every city and time unknown.
    StepRunner(Device& device, const StepConfig& config, const StepPrograms& programs);
    StepRunner(const StepRunner&) = delete;
    StepRunner& operator=(const StepRunner&) = delete;

    Device& device() { return executor_->device(); }
    const StepConfig& config() const { return config_; }
    const Variables& variables() const { return variables_; }
    Executor& executor() { return *executor_; }
    const Executor& executor() const { return *executor_; }
    const Program& training(int64_t batch) const;
    bool trains(int64_t batch) const { return training_.contains(batch); }
    const Program& inference() const { return inference_; }

    /// [R, T, F] f32; `host` must outlive the runner.
    void bind_features(std::span<const float> host);
    void bind_features(const Tensor& on_device);

    void initialize(uint64_t seed);

    /// The clips of the steps to come, padding slots behind them, and the cursor at the first.
    void begin(std::span<const int32_t> clips);
    void set_targets(std::span<const float> targets);                              ///< [R, K]; zeros: unlabelled
    void set_weights(std::span<const float> weights);                              ///< [R]
    void set_metadata(std::span<const int32_t> city, std::span<const float> time); ///< [R], [R, 8]; multimodal models
    Tensor weight_table() const;                                                   ///< on the device

    StepControl control() const;
    void set_control(const StepControl& control);
    double loss_sum() const;
    std::vector<int32_t> confusion() const; ///< [K, K], [true][predicted]
    void clear_metrics();
    std::vector<float> weights() const;       ///< [R]
    std::vector<float> probabilities() const; ///< [R, K]
    std::vector<float> embeddings() const;    ///< [R, D]; only with StepConfig::embeddings

    /// Before the first step after the parameters were set: what a step takes in another form than they have.
    void prepare_training();
    void prepare_inference();
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
