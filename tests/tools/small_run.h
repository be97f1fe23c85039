#pragma once

#include "tests/support/temporary_folder.h"
#include "tests/tools/command.h"

namespace scene::test {

/// What most tests need, made once by the command itself: a synthetic dataset, its store and a trained run.
struct SmallRun {
    static constexpr size_t clips = 60, labelled = 30;

    TemporaryFolder folder;
    std::string audio, store, config, run; ///< paths

    /// Arguments of `scene train` with this store and config into `run`.
    std::vector<std::string> train(const std::string& run, const std::vector<std::string>& more = {}) const;
    /// Arguments of `scene prepare` for clips of the length that the small run's have.
    std::vector<std::string> prepare(const std::string& dataset, const std::string& out,
                                     const std::vector<std::string>& more = {}) const;
    /// How many clips the run's split holds for the test.
    size_t test_clips() const;
};

const SmallRun& small_run();

} // namespace scene::test
