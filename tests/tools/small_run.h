#pragma once

#include "tests/support/temporary_folder.h"
#include "tests/tools/command.h"

namespace scene::test {

/// A synthetic dataset, its store and a trained run, which most tests need. Made once, by the command itself.
struct SmallRun {
    static constexpr size_t clips = 60, labelled = 30;

    TemporaryFolder folder;
    std::string audio, store, config, run; ///< paths

    /// Arguments of `scene train` with this store and config into `run`.
    std::vector<std::string> train(const std::string& run, const std::vector<std::string>& more = {}) const;
    /// Arguments of `scene prepare` for clips as long as the small run's.
    std::vector<std::string> prepare(const std::string& dataset, const std::string& out,
                                     const std::vector<std::string>& more = {}) const;
    /// The number of test clips in the run's split.
    size_t test_clips() const;
};

/// Made by the first call.
const SmallRun& small_run();

} // namespace scene::test
