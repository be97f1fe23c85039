#pragma once

#include <span>

#include "train/config/config.h"
#include "train/progress.h"

namespace scene {

/// Learning rate of an epoch, counted from 1 in each stage: learning_rate * decay^floor((epoch - 1)/decay_every).
double learning_rate(const TrainingSettings& settings, int64_t epoch);

/// Where a stage stands after the epochs in `history` (other stages' epochs are ignored).
struct StageState {
    int64_t epochs = 0;     ///< completed
    int64_t best_epoch = 0; ///< the latest among equals; 0: none yet
    double best_score = -1; ///< its score by TrainingSettings::choose_by
    double all = 0;         ///< its validation balanced accuracy on all clips
    double labelled = 0;    ///< and on truly labelled clips
    int64_t since_rise = 0; ///< epochs since the score last rose above every earlier one
    bool finished = false;  ///< all epochs done, or `early_stop` epochs without a better score
};
StageState stage_state(std::span<const EpochRecord> history, int64_t stage, const TrainingSettings& settings);

} // namespace scene
