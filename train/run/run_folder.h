#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"
#include "train/config/config.h"
#include "train/report/run_result.h"

namespace scene {

/// The names inside a run folder.
struct RunFolder {
    std::filesystem::path folder;

    std::filesystem::path config() const { return folder / "config.toml"; }
    std::filesystem::path split() const { return folder / "split.json"; }
    std::filesystem::path store() const { return folder / "store.json"; } ///< which store: size and fingerprint
    std::filesystem::path metrics() const { return folder / "metrics.jsonl"; }
    std::filesystem::path best_model(int64_t stage) const {
        return folder / ("best_model_" + std::to_string(stage) + ".safetensors");
    }
    std::filesystem::path last() const { return folder / "last.safetensors"; }
    std::filesystem::path pseudo_labels() const { return folder / "pseudo_labels.csv"; }
    std::filesystem::path hard_samples() const { return folder / "hard_samples.csv"; }
    std::filesystem::path predictions() const { return folder / "predictions.csv"; }
    std::filesystem::path report() const { return folder / "report.html"; }
    std::filesystem::path result() const { return folder / "result.json"; } ///< exists once the run is complete
    std::filesystem::path lock() const { return folder / ".lock"; }
    std::filesystem::path teacher() const { return folder / "teacher"; }
};

/// A number that changes when the clips, their columns or their features do (FNV-1a over all columns and three frames
/// of every clip), as 16 hexadecimal digits.
std::string store_fingerprint(const FeatureStore& store);

/// Keeps a second process out of a run folder as long as it lives; a kill lets go of it too. Creates the folder, and
/// removes the half-written files that a killed process left.
class RunLock {
public:
    explicit RunLock(const RunFolder& run);
    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

private:
    int descriptor_ = -1;
};

/// Whether an epoch of the run, or of its teacher, is finished. Before that the folder binds nobody.
bool has_epochs(const RunFolder& run);

/// Removes what a run leaves, and the folders that are empty then; other files stay.
void clear_run_folder(const RunFolder& run);

/// Writes config.toml, split.json and store.json to the folder, in place of all that a start without an epoch left; or
/// checks that the epochs there are of this very run: fails with what differs. More training.epochs and another
/// training.early_stop are no difference where the last stage can go on with them, which takes its result away; fails
/// where that stage has gone further than they say.
void open_run_folder(const RunFolder& run, const RunConfig& config, const FeatureStore& store, const Split& split);

void save_result(const RunFolder& run, const RunResult& result, const std::vector<std::string>& classes);
/// Nothing if the run is not complete. Split and leak are not read: they follow from the split itself.
std::optional<RunResult> load_result(const RunFolder& run);

} // namespace scene
