#include "train/config/schedule.h"

#include <cmath>

namespace scene {
namespace {

/// The score that selects the best epoch.
double deciding_score(const EpochRecord& record, const TrainingSettings& settings) {
    const bool labelled_only = record.stage >= 2 && settings.choose_by == ChooseBy::Labelled;
    return labelled_only ? record.validation_labelled : record.validation_balanced_accuracy;
}

} // namespace

double learning_rate(const TrainingSettings& settings, int64_t epoch) {
    const int64_t drops = (epoch - 1) / settings.decay_every;
    return settings.learning_rate * std::pow(settings.decay, static_cast<double>(drops));
}

StageState stage_state(std::span<const EpochRecord> history, int64_t stage, const TrainingSettings& settings) {
    StageState state;
    for (const EpochRecord& record : history) {
        if (record.stage != stage) continue;
        ++state.epochs;
        const double score = deciding_score(record, settings);
        state.since_rise = score > state.best_score ? 0 : state.since_rise + 1;
        if (score >= state.best_score) {
            state.best_epoch = record.epoch;
            state.best_score = score;
            state.all = record.validation_balanced_accuracy;
            state.labelled = record.validation_labelled;
        }
    }
    const bool patience_spent = settings.early_stop > 0 && state.since_rise >= settings.early_stop;
    const bool built_on = !history.empty() && history.back().stage > stage; // final, even if the settings have changed
    state.finished = state.epochs >= settings.epochs || patience_spent || built_on;
    return state;
}

} // namespace scene
