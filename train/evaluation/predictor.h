#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "model/checkpoint.h"

namespace scene {

/// One clip to classify.
struct PredictorClip {
    std::vector<float> wave; ///< mono, at info().features.sample_rate, of any length > 0
    std::string city;        ///< unknown if it is empty or not in info().cities
    std::string time;        ///< "YYYY-MM-DD HH:MM:SS"; empty: unknown
};

/// Classifies waveforms with the model of a checkpoint. Needs no other file.
class Predictor {
public:
    /// Throws Error if `checkpoint` cannot be read or its weights are not finite.
    Predictor(Device& device, const std::filesystem::path& checkpoint, int64_t batch = 1);
    ~Predictor();
    Predictor(const Predictor&) = delete;
    Predictor& operator=(const Predictor&) = delete;

    const CheckpointInfo& info() const;
    int64_t batch() const;
    /// Class probabilities [clips, K] of at most `batch` clips. Throws Error if a time is malformed.
    std::vector<float> predict(std::span<const PredictorClip> clips);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace scene
