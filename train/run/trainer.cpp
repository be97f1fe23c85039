#include "train/run/trainer.h"

#include <algorithm>
#include <chrono>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"
#include "kernels/files/atomic_file.h"
#include "model/import.h"
#include "train/config/schedule.h"
#include "train/config/step_config.h"
#include "train/evaluation/evaluate.h"
#include "train/report/confusion_files.h"
#include "train/report/report.h"
#include "train/report/tensorboard.h"
#include "train/run/history.h"
#include "train/run/pseudo_labels.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"
#include "train/training_session.h"

namespace scene {
namespace {

/// Whether the run trains its own teacher, a System #1 inside the run folder.
bool has_own_teacher(const RunConfig& config) {
    return config.training.hard_samples && config.training.teacher == "train";
}

/// The configuration of the teacher. Once the student has trained with its weights, its length no longer changes.
RunConfig teacher_config(const RunConfig& config, const RunFolder& teacher, bool has_taught) {
    RunConfig out = as_system(config, 1);
    if (!has_taught || !std::filesystem::exists(teacher.config())) return out;
    const RunConfig before = load_config(teacher.config());
    out.training.epochs = before.training.epochs;
    out.training.early_stop = before.training.early_stop;
    return out;
}

/// One run of one system, from the state of its folder to the end.
class SystemRun {
public:
    SystemRun(Device& device, const FeatureStore& store, const Split& split, const RunConfig& config,
              const RunFolder& run, const Session& session)
        : device_(device), store_(store), split_(split), config_(config), run_(run), session_(session),
          progress_(session.progress, has_own_teacher(config) ? "student: " : ""),
          all_clips_(divide_training_clips(store, split, config.training)), clips_(all_clips_),
          model_(model_for(config.model, store)) {}

    RunResult train() {
        if (!all_clips_.note.empty()) progress_.message(all_clips_.note);
        read_history();
        const int64_t last_stage = config_.training.stages;
        const bool weighs_ahead = stage_state(history_, last_stage, config_.training).epochs == 0;
        if (config_.training.hard_samples && weighs_ahead) ask_teacher(); // before the student's model is allocated
        make_session();
        if (!history_.empty())
            load_checkpoint(SafetensorsFile(run_.last()), training_->executor(), CheckpointContent::Training);
        TensorboardWriter events(run_.folder);
        for (int64_t stage = 1; stage <= config_.training.stages; ++stage) {
            StageState state = stage_state(history_, stage, config_.training);
            if (state.finished) continue;
            if (state.epochs == 0) begin_stage(stage);
            for (; !state.finished; state = stage_state(history_, stage, config_.training))
                run_epoch(stage, state.epochs + 1, events);
        }
        return finish();
    }

private:
    void load_init() {
        const SafetensorsFile file(find_checkpoint(config_.training.init));
        const ImportReport report = import_weights(file, training_->executor(), checkpoint_info(1, 0));
        for (const std::string& line : describe(report, file.path().string())) progress_.message(line);
    }

    void make_session() {
        training_.emplace(device_, store_, step_config(config_, store_), clips_.batches(config_.training),
                          store_.columns().city);
    }

    CheckpointInfo checkpoint_info(int64_t stage, int64_t epoch) const {
        const StageState state = stage_state(history_, stage, config_.training);
        const StoreColumns& columns = store_.columns();
        return {model_,
                store_.spec(),
                columns.fit,
                columns.classes,
                columns.cities,
                config_.system,
                {{"stage", std::to_string(stage)},
                 {"epoch", std::to_string(epoch)},
                 {"best_epoch", std::to_string(state.best_epoch)},
                 {"best_validation_balanced_accuracy", fmt::format("{}", state.best_score)},
                 {"split", split_.name},
                 {"seed", std::to_string(config_.training.seed)}}};
    }

    /// Reads the complete epochs from last.safetensors, and which clips the current stage uses from its targets.
    void read_history() {
        if (std::filesystem::exists(run_.last())) {
            const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(run_.last()));
            const auto history = info.training.find("history");
            if (history == info.training.end())
                fail("{}: no training history in it; start a new run folder", run_.last().string());
            history_ = parse_history_json(history->second, run_.last().string());
            if (history_.empty())
                fail("{}: its training history is empty; start a new run folder", run_.last().string());
            if (history_.back().stage >= 2)
                clips_ = with_targets(all_clips_, SafetensorsFile(run_.last()).tensor("state/target").as<float>(),
                                      model_.classes);
            progress_.message(
                fmt::format("resuming after stage {} epoch {}", history_.back().stage, history_.back().epoch));
        }
        rewrite_epochs(run_.metrics(), history_);
    }

    void begin_stage(int64_t stage) {
        std::vector<Prediction> pseudo;
        std::vector<float> distributions;
        if (stage == 1) {
            training_->initialize(config_.training.seed);
            if (!config_.training.init.empty()) load_init();
        } else {
            load_checkpoint(SafetensorsFile(run_.best_model(stage - 1)), training_->executor());
            pseudo = label_unlabelled_clips(stage);
            if (config_.pseudo.labels == PseudoSettings::Labels::Soft) distributions = training_->probabilities();
        }
        const std::vector<float> targets = stage_targets(store_, split_, pseudo, distributions);
        if (stage >= 2) {
            clips_ = with_targets(all_clips_, targets, model_.classes);
            if (!training_->trains(clips_.batches(config_.training))) { // a remainder of a new size
                make_session();
                load_checkpoint(SafetensorsFile(run_.best_model(stage - 1)), training_->executor());
            }
        }
        training_->restart_optimizer(stage_seed(config_.training.seed, stage));
        training_->set_targets(targets);
        weigh_clips(stage, pseudo);
    }

    std::vector<Prediction> label_unlabelled_clips(int64_t stage) {
        const PseudoLabels labels = choose_pseudo_labels(predict(split_.unlabelled, "pseudo labels"),
                                                         all_clips_.unlabelled.train, config_.pseudo);
        write_pseudo_labels(run_.pseudo_labels(), stage, labels, store_.columns());
        double confidence = 0;
        for (const Prediction& one : labels.predictions) confidence += static_cast<double>(one.confidence);
        std::vector<Prediction> used = labels.used_predictions();
        progress_.message(fmt::format("pseudo labels: {} clips, mean confidence {:.3f}, {} used",
                                      labels.predictions.size(),
                                      confidence / static_cast<double>(labels.predictions.size()), used.size()));
        return used;
    }

    void weigh_clips(int64_t stage, std::span<const Prediction> pseudo) {
        const std::vector<int32_t> members = clips_.train(stage);
        std::vector<float> weights(static_cast<size_t>(store_.clips()), 1.0f);
        if (config_.training.hard_samples) {
            training_->set_hard_weights(teacher_probabilities_, members, config_.training.hard_confidence);
            weights = training_->weights();
        }
        if (!pseudo.empty() && config_.pseudo.weights == PseudoSettings::Weights::Confidence)
            weigh_by_confidence(weights, pseudo, members);
        training_->set_weights(weights);
        if (config_.training.hard_samples) list_hard_samples(stage, members, weights);
    }

    void list_hard_samples(int64_t stage, const std::vector<int32_t>& members, std::span<const float> weights) {
        std::vector<HardClip> hard;
        for (int32_t clip : members) {
            const double confidence = confidence_of(teacher_probabilities_.data() + clip * model_.classes,
                                                    model_.classes, config_.training.hard_confidence);
            if (confidence < config_.training.hard_threshold)
                hard.push_back({clip, static_cast<float>(confidence), weights[static_cast<size_t>(clip)]});
        }
        write_hard_samples(run_.hard_samples(), stage, hard, store_.columns());
        progress_.message(fmt::format("stage {}: {} of {} training clips are hard (teacher's confidence below {})",
                                      stage, hard.size(), members.size(), config_.training.hard_threshold));
    }

    /// Trains the teacher if needed and predicts every clip that trains in some stage.
    void ask_teacher() {
        std::filesystem::path checkpoint = config_.training.teacher;
        PrefixedProgress progress(session_.progress, "teacher: ");
        const Session session{progress, session_.stop};
        if (has_own_teacher(config_)) {
            progress.message("a System #1 comes first; the student's hard samples are those it is unsure of");
            const RunConfig teacher = teacher_config(config_, {run_.teacher()}, !history_.empty());
            checkpoint = train_system(device_, store_, split_, teacher, run_.teacher(), session).checkpoint;
        }
        const std::vector<int32_t> clips = all_clips_.train(config_.training.stages);
        const Evaluation evaluation = evaluate(device_, checkpoint, store_, clips, session, config_.training.batch);
        const auto classes = static_cast<size_t>(model_.classes);
        teacher_probabilities_.assign(static_cast<size_t>(store_.clips()) * classes, 0.0f);
        for (size_t i = 0; i < clips.size(); ++i)
            std::copy_n(evaluation.probabilities.begin() + static_cast<std::ptrdiff_t>(i * classes), classes,
                        teacher_probabilities_.begin() + clips[i] * static_cast<std::ptrdiff_t>(classes));
    }

    void run_epoch(int64_t stage, int64_t epoch, TensorboardWriter& events) {
        using Clock = std::chrono::steady_clock;
        const std::vector<int32_t> order = epoch_order(clips_.train(stage), config_.training.seed, stage, epoch);
        EpochRecord record;
        record.stage = stage;
        record.epoch = epoch;
        record.learning_rate = learning_rate(config_.training, epoch);

        const std::string what = fmt::format("stage {} epoch {}/{}", stage, epoch, config_.training.epochs);
        const auto start = Clock::now();
        progress_.begin(what, static_cast<int64_t>(order.size()));
        const PassResult trained = training_->train(order, record.learning_rate, stoppable(what));
        progress_.end();
        if (!trained.finite) fail_nonfinite("loss or a gradient", stage, epoch);
        record.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        record.clips_per_second = static_cast<double>(order.size()) / record.seconds;
        record.train_loss = trained.loss_sum / static_cast<double>(order.size());
        record.train_balanced_accuracy = trained.confusion.balanced_accuracy();
        validate(record, what);
        keep(record, events);
    }

    /// Scores on the labelled clips and, from stage 2 on, on all clips with pseudo labels as truth.
    void validate(EpochRecord& record, const std::string& what) {
        training_->prepare_inference();
        const auto pass = [&](const std::vector<int32_t>& clips) {
            progress_.begin(what + ", validation", static_cast<int64_t>(clips.size()));
            const PassResult result = training_->infer(clips, stoppable(what));
            progress_.end();
            if (!result.finite) fail_nonfinite("validation loss", record.stage, record.epoch);
            return result;
        };
        PassResult labelled = pass(clips_.labelled.validation);
        record.validation_labelled = labelled.confusion.balanced_accuracy();
        if (record.stage >= 2) {
            const PassResult pseudo = pass(clips_.unlabelled.validation);
            labelled.loss_sum += pseudo.loss_sum;
            labelled.clips += pseudo.clips;
            for (int64_t truth = 0; truth < model_.classes; ++truth)
                for (int64_t predicted = 0; predicted < model_.classes; ++predicted)
                    labelled.confusion.add(truth, predicted, pseudo.confusion.count(truth, predicted));
        }
        record.validation_loss = labelled.loss_sum / static_cast<double>(labelled.clips);
        record.validation_balanced_accuracy = labelled.confusion.balanced_accuracy();
    }

    /// Writes the best model, then the log line, then the file to resume from. After a kill at any moment the epoch is
    /// either complete or is repeated with the same bits.
    void keep(EpochRecord& record, TensorboardWriter& events) {
        history_.push_back(record);
        const StageState state = stage_state(history_, record.stage, config_.training);
        record.best = history_.back().best = state.best_epoch == record.epoch;
        CheckpointInfo info = checkpoint_info(record.stage, record.epoch);
        if (record.best) save_checkpoint(run_.best_model(record.stage), info, training_->executor());
        append_epoch(run_.metrics(), record);
        info.training["history"] = history_json(history_);
        save_checkpoint(run_.last(), info, training_->executor(), CheckpointContent::Training);

        const auto step = static_cast<int64_t>(history_.size());
        events.scalar("loss/train", step, record.train_loss);
        events.scalar("loss/validation", step, record.validation_loss);
        events.scalar("balanced_accuracy/train", step, record.train_balanced_accuracy);
        events.scalar("balanced_accuracy/validation", step, record.validation_balanced_accuracy);
        events.scalar("balanced_accuracy/validation_labelled", step, record.validation_labelled);
        events.scalar("learning_rate", step, record.learning_rate);
        events.scalar("clips_per_second", step, record.clips_per_second);
        progress_.epoch(record, "");
    }

    RunResult finish() {
        const int64_t stages = config_.training.stages;
        const StageState first = stage_state(history_, 1, config_.training);
        RunResult result;
        result.system = system_title(config_);
        result.split = split_.name;
        result.leak = session_leak(store_.columns(), split_);
        result.train_score = first.best_score;
        if (stages >= 2) {
            const StageState last = stage_state(history_, stages, config_.training);
            result.pseudo_score = last.all;
            result.labelled_score = last.labelled;
        }
        result.hard_clips = count_hard_samples(run_.hard_samples(), stages);
        result.checkpoint = run_.best_model(stages);

        load_checkpoint(SafetensorsFile(result.checkpoint), training_->executor());
        const bool has_test = !split_.test.empty();
        const auto predictions = predict(has_test ? split_.test : split_.unlabelled, has_test ? "test" : "predictions");
        write_predictions(run_.predictions(), predictions, store_.columns());
        Confusion confusion = confusion_of(predictions, store_.columns());
        if (has_test && confusion.total() > 0) {
            result.test = std::move(confusion);
            result.cities = scores_by_city(predictions, store_.columns());
            result.devices = scores_by_device(predictions, store_.columns());
            write_confusion(run_.folder, *result.test, store_.columns().classes,
                            fmt::format("System {}, test clips of split {}, {}", system_title(config_), split_.name,
                                        leak_text(result.leak)));
        }
        write_file(run_.report(), report_html(config_, result, history_, store_.columns().classes));
        save_result(run_, result, store_.columns().classes);
        return result;
    }

    std::vector<Prediction> predict(const std::vector<int32_t>& clips, const std::string& what) {
        training_->prepare_inference();
        progress_.begin(what, static_cast<int64_t>(clips.size()));
        training_->infer(clips, stoppable(what));
        progress_.end();
        return predictions_of(training_->probabilities(), clips, model_.classes);
    }

    PassProgress stoppable(const std::string& what) {
        return [this, what](int64_t done) {
            if (session_.stop)
                throw Interrupted(fmt::format("stopped in {}; run the same command again to go on from {}", what,
                                              last_good("the start")));
            progress_.advance(done);
        };
    }

    std::string last_good(const std::string& otherwise) const {
        if (history_.empty()) return otherwise;
        return fmt::format("{} (stage {} epoch {})", run_.last().string(), history_.back().stage,
                           history_.back().epoch);
    }

    [[noreturn]] void fail_nonfinite(const std::string& what, int64_t stage, int64_t epoch) const {
        fail("{}: stage {} epoch {}: the {} is no longer finite; last good state: {}; start a new run with a smaller "
             "training.learning_rate (now {})",
             run_.folder.string(), stage, epoch, what, last_good("none yet"), config_.training.learning_rate);
    }

    Device& device_;
    const FeatureStore& store_;
    const Split& split_;
    const RunConfig& config_;
    RunFolder run_;
    const Session& session_;
    PrefixedProgress progress_; ///< with the prefix "student: " if the run trains its own teacher
    TrainingClips all_clips_;   ///< of the split
    TrainingClips clips_;       ///< without the clips whose pseudo labels the stage does not use
    ModelConfig model_;
    std::optional<TrainingSession> training_;
    std::vector<EpochRecord> history_;
    std::vector<float> teacher_probabilities_; ///< [R, K]; empty before ask_teacher
};

/// Fails if training.init does not fit the model. Called before anything is written or a teacher is trained for hours.
void check_init(const FeatureStore& store, const RunConfig& config) {
    const StepConfig step = step_config(config, store);
    CheckpointInfo info;
    info.model = step.model;
    info.features = store.spec();
    info.cities = store.columns().cities;
    const Variables variables = declared_variables(step);
    check_import(SafetensorsFile(find_checkpoint(config.training.init)), variables, info);
}

/// Fails unless the teacher has the store's features and its classes, in the same order.
void check_teacher(const std::string& teacher, const FeatureStore& store) {
    const std::filesystem::path checkpoint = find_checkpoint(teacher);
    const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(checkpoint));
    if (info.features != store.spec())
        fail("training.teacher = {}: the features of {} were computed with other settings than this model's; prepare "
             "it anew",
             checkpoint.string(), store.path().string());
    if (info.classes != store.columns().classes)
        fail("training.teacher = {}: the model's classes ({}) are not those of {} ({})", checkpoint.string(),
             fmt::join(info.classes, ", "), store.path().string(), fmt::join(store.columns().classes, ", "));
}

} // namespace

void check_settings(const FeatureStore& store, const Split& split, const RunConfig& config) {
    divide_training_clips(store, split, config.training);
    step_config(config, store);
    if (config.training.hard_samples) {
        if (has_own_teacher(config))
            step_config(as_system(config, 1), store);
        else
            check_teacher(config.training.teacher, store);
    }
    if (!config.training.init.empty()) check_init(store, config);
}

RunResult train_system(Device& device, const FeatureStore& store, const Split& split, const RunConfig& given,
                       const std::filesystem::path& run, const Session& session) {
    const RunFolder folder{run};
    RunConfig config = given;
    const std::string note = fit_stages(config, split);
    if (!has_epochs(folder)) check_settings(store, split, config); // a resumed run may not need the files it names
    const RunLock lock(folder);
    try {
        open_run_folder(folder, config, store, split);
        if (const std::string title = system_title(config); title != config.system)
            session.progress.message("System " + title);
        if (!note.empty()) session.progress.message(note);
        if (std::optional<RunResult> result = load_result(folder)) {
            result->split = split.name;
            result->leak = session_leak(store.columns(), split);
            session.progress.message(fmt::format("{} is complete", run.string()));
            return *result;
        }
        return SystemRun(device, store, split, config, folder, session).train();
    } catch (...) {
        if (!has_epochs(folder)) clear_run_folder(folder);
        throw;
    }
}

} // namespace scene
