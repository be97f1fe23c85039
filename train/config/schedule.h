#pragma once

#include <span>

#include "train/config/config.h"
#include "train/progress.h"

namespace scene {

/// Learning rate of an epoch: learning_rate * decay^floor((epoch - 1)/decay_every). Epochs count from 1 in each stage.
double learning_rate(const TrainingSettings& settings, int64_t epoch);

/// The state of a stage after some epochs.
struct StageState {
    int64_t epochs = 0;     ///< completed
    int64_t best_epoch = 0; ///< the latest of equally good ones; 0: none yet
    double best_score = -1; ///< its score by TrainingSettings::choose_by
    double all = 0;         ///< its validation balanced accuracy on all clips
    double labelled = 0;    ///< its validation balanced accuracy on clips with true labels
    int64_t since_rise = 0; ///< epochs since the score last rose above every earlier one
    bool finished = false;  ///< all epochs done, `early_stop` epochs without a better score, or a later stage has begun
};
/// `history` is that of the whole run.
StageState stage_state(std::span<const EpochRecord> history, int64_t stage, const TrainingSettings& settings);

} // namespace scene
