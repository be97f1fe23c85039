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

/// The paths of a run's files.
struct RunFolder {
    std::filesystem::path folder;

    std::filesystem::path config() const { return folder / "config.toml"; }
    std::filesystem::path split() const { return folder / "split.json"; }
    std::filesystem::path store() const { return folder / "store.json"; } ///< the store's size and fingerprint
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

/// A hash by which a run recognises its store, as 16 hexadecimal digits: FNV-1a over classes, cities, names, labels,
/// city indices, times, and the first, middle and last frame of every clip.
std::string store_fingerprint(const FeatureStore& store);

/// Locks a run folder against other processes for its lifetime (flock, which the kernel releases when a process dies).
/// Creates the folder, and removes temporary files of a killed process. Throws Error if another process holds the lock.
class RunLock {
public:
    explicit RunLock(const RunFolder& run);
    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

private:
    int descriptor_ = -1;
};

/// Whether an epoch of the run or of its teacher is complete. Until then the run may start again with other settings.
bool has_epochs(const RunFolder& run);

/// Removes the files of a run without a complete epoch, and the folder if that leaves it empty. Other files stay.
void clear_run_folder(const RunFolder& run);

/// Prepares the folder of a run.
/// - Without a complete epoch: removes what an earlier start left, and writes config.toml, split.json and store.json.
///   Throws Error if the folder has files that no run of scene wrote, or models of a run that cannot resume.
/// - With epochs: throws Error that says what differs if they are of another configuration, split or store.
///   Other values of training.epochs and training.early_stop are accepted and written to config.toml if they would not
///   have ended the current stage earlier. If the last stage is then unfinished, result.json is removed.
void open_run_folder(const RunFolder& run, const RunConfig& config, const FeatureStore& store, const Split& split);

void save_result(const RunFolder& run, const RunResult& result, const std::vector<std::string>& classes);
/// Nothing if the run is not complete; Error if result.json is corrupted. The caller sets `split` and `leak`, which
/// follow from the split.
std::optional<RunResult> load_result(const RunFolder& run);

} // namespace scene
