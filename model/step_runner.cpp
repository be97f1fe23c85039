#include "model/step_runner.h"

#include <algorithm>

#include "model/initialize.h"

namespace scene {
namespace {

int64_t largest_batch(const StepPrograms& programs) {
    int64_t largest = std::max(programs.max_batch, programs.inference);
    for (int64_t batch : programs.training) largest = std::max(largest, batch);
    return largest;
}

} // namespace

StepRunner::StepRunner(Device& device, const StepConfig& config, const StepPrograms& programs)
    : config_(config), max_batch_(largest_batch(programs)) {
    std::vector<const Program*> all;
    StepConfig sized = config;
    for (int64_t batch : programs.training) {
        sized.batch = batch;
        device.autotune(convolution_shapes(sized, Mode::Training, max_batch_));
        if (!training_.contains(batch))
            training_.emplace(batch, build_training_step(device.planner(), variables_, sized, max_batch_));
    }
    if (programs.inference > 0) {
        sized.batch = programs.inference;
        device.autotune(convolution_shapes(sized, Mode::Inference, max_batch_));
        inference_ = build_inference_step(device.planner(), variables_, sized, max_batch_);
        all.push_back(&inference_);
    }
    for (const auto& [batch, program] : training_) all.push_back(&program);
    executor_ = std::make_unique<Executor>(device, variables_, all);
    set_control({});
    set_weights(std::vector<float>(static_cast<size_t>(config_.rows), 1.0f));
    if (config_.model.multimodal)
        set_metadata(std::vector<int32_t>(static_cast<size_t>(config_.rows), -1),
                     std::vector<float>(static_cast<size_t>(config_.rows * time_inputs), 0.0f));
}

template <typename T> void StepRunner::upload(const char* table, std::span<const T> values) {
    executor_->upload(Segment::State, table, values.data(), values.size_bytes());
}

template <typename T> std::vector<T> StepRunner::download(const char* table) const {
    const Tensor tensor = executor_->tensor(Segment::State, table);
    std::vector<T> out(static_cast<size_t>(tensor.elements()));
    executor_->download(Segment::State, table, out.data(), out.size() * sizeof(T));
    return out;
}

const Program& StepRunner::training(int64_t batch) const {
    const auto found = training_.find(batch);
    SCENE_CHECK(found != training_.end(), "no training program of batch " + std::to_string(batch));
    return found->second;
}

void StepRunner::bind_features(std::span<const float> host) {
    executor_->bind_external(tables::features, host.data(), host.size_bytes());
}
void StepRunner::bind_features(const Tensor& on_device) { executor_->bind_external(tables::features, on_device); }

void StepRunner::initialize(uint64_t seed) { initialize_parameters(*executor_, seed); }

void StepRunner::begin(std::span<const int32_t> clips) {
    std::vector<int32_t> order(static_cast<size_t>(config_.rows + max_batch_), -1);
    SCENE_CHECK(clips.size() <= order.size(), "more clips than the order has room for");
    std::copy(clips.begin(), clips.end(), order.begin());
    upload<int32_t>(tables::order, order);
    StepControl start = control();
    start.cursor = 0;
    set_control(start);
}

void StepRunner::set_targets(std::span<const float> targets) { upload(tables::target, targets); }
void StepRunner::set_weights(std::span<const float> weights) { upload(tables::weight, weights); }

void StepRunner::set_metadata(std::span<const int32_t> city, std::span<const float> time) {
    upload(tables::city, city);
    upload(tables::time, time);
}

Tensor StepRunner::weight_table() const { return executor_->tensor(Segment::State, tables::weight); }

StepControl StepRunner::control() const {
    StepControl out;
    executor_->download(Segment::State, tables::control, &out, sizeof out);
    return out;
}

void StepRunner::set_control(const StepControl& control) {
    executor_->upload(Segment::State, tables::control, &control, sizeof control);
}

double StepRunner::loss_sum() const { return download<double>(tables::loss_sum)[0]; }
std::vector<int32_t> StepRunner::confusion() const { return download<int32_t>(tables::confusion); }

void StepRunner::clear_metrics() {
    const double no_loss = 0;
    upload(tables::loss_sum, std::span(&no_loss, 1));
    upload<int32_t>(tables::confusion,
                    std::vector<int32_t>(static_cast<size_t>(config_.model.classes * config_.model.classes)));
}

std::vector<float> StepRunner::weights() const { return download<float>(tables::weight); }
std::vector<float> StepRunner::probabilities() const { return download<float>(tables::probabilities); }
std::vector<float> StepRunner::embeddings() const { return download<float>(tables::embedding); }

void StepRunner::prepare_training() {
    if (!training_.empty()) executor_->setup(training_.begin()->second); // all batch sizes share the copy
}

void StepRunner::prepare_inference() { executor_->setup(inference_); }

} // namespace scene
