#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kernels/error.h"

namespace scene {

/// The results of an epoch; one line of metrics.jsonl.
struct EpochRecord {
    int64_t stage = 1; ///< from 1
    int64_t epoch = 1; ///< from 1 in each stage
    double learning_rate = 0;
    double train_loss = 0; ///< mean over the clips, with weights and label smoothing
    double train_balanced_accuracy = 0;
    double validation_loss = 0;
    double validation_balanced_accuracy = 0; ///< on all validation clips; from stage 2 on with pseudo labels as truth
    double validation_labelled = 0;          ///< on clips with true labels; in stage 1 equal to the former
    bool best = false;                       ///< the best of its stage so far; its weights were saved
    double seconds = 0;                      ///< of the training pass; not reproducible
    double clips_per_second = 0;             ///< of the training pass; not reproducible
};

/// Callbacks during long work, always on the thread that started it.
class Progress {
public:
    virtual ~Progress() = default;
    /// Work on so many clips begins: "stage 1 epoch 3/20", 696.
    virtual void begin(const std::string& /*what*/, int64_t /*clips*/) {}
    /// `done` clips of it are done, in total.
    virtual void advance(int64_t /*done*/) {}
    virtual void end() {}
    /// An epoch is complete. `whose` is "", or the prefix of an inner run: "teacher: ".
    virtual void epoch(const EpochRecord& /*record*/, const std::string& /*whose*/) {}
    /// One line for the user: "pseudo labels: 6960 clips, mean confidence 0.91".
    virtual void message(const std::string& /*line*/) {}
};

/// Forwards to another Progress with a prefix: for a run inside a run.
class PrefixedProgress final : public Progress {
public:
    PrefixedProgress(Progress& inner, std::string prefix) : inner_(inner), prefix_(std::move(prefix)) {}
    void begin(const std::string& what, int64_t clips) override { inner_.begin(prefix_ + what, clips); }
    void advance(int64_t done) override { inner_.advance(done); }
    void end() override { inner_.end(); }
    void epoch(const EpochRecord& record, const std::string& whose) override { inner_.epoch(record, prefix_ + whose); }
    void message(const std::string& line) override { inner_.message(prefix_ + line); }

private:
    Progress& inner_;
    std::string prefix_;
};

/// Thrown between two steps when the stop flag is set. The message says how to resume. The command exits with 130.
class Interrupted : public Error {
public:
    using Error::Error;
};

/// An argument of all long-running functions of train/. `stop` may be set from a signal handler.
struct Session {
    Progress& progress;
    const std::atomic<bool>& stop;
};

} // namespace scene
