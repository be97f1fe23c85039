#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kernels/error.h"

namespace scene {

/// What is known after an epoch; one line of metrics.jsonl.
struct EpochRecord {
    int64_t stage = 1; ///< from 1
    int64_t epoch = 1; ///< from 1
    double learning_rate = 0;
    double train_loss = 0; ///< mean over the clips, weights and smoothing included
    double train_balanced_accuracy = 0;
    double validation_loss = 0;
    double validation_balanced_accuracy = 0; ///< on all validation clips: stage 2 with pseudo labels as truth
    double validation_labelled = 0;          ///< on truly labelled clips only; equal to the former in stage 1
    bool best = false;                       ///< this epoch's weights were kept
    double seconds = 0;                      ///< of the training clips; not reproducible, like clips_per_second
    double clips_per_second = 0;
};

/// Called while long work goes on, always from the thread that started it. All functions may do nothing.
class Progress {
public:
    virtual ~Progress() = default;
    /// A counted piece of work starts: "stage 1 epoch 3/20", 696 clips.
    virtual void begin(const std::string& /*what*/, int64_t /*clips*/) {}
    /// So many clips of it are done, all together.
    virtual void advance(int64_t /*done*/) {}
    virtual void end() {}
    /// `whose` is "" or the run inside a run that it is of: "teacher: ".
    virtual void epoch(const EpochRecord& /*record*/, const std::string& /*whose*/) {}
    /// One line worth telling: "pseudo labels: 6960 clips, mean confidence 0.91".
    virtual void message(const std::string& /*line*/) {}
};

/// Passes everything on with `prefix` before what is said: for a run inside a run.
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

/// Thrown between two steps once the stop flag is set; the message says how to go on. The command exits with 130.
class Interrupted : public Error {
public:
    using Error::Error;
};

/// What every long function of this room takes. `stop` may be set from a signal handler.
struct Session {
    Progress& progress;
    const std::atomic<bool>& stop;
};

} // namespace scene
