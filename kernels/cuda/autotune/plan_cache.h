#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace scene::cuda {

/// Measured times on disk: for each problem the quickest choice and its time, and what the search left out. One text
/// file per device and version of cuDNN; a damaged file, or one of another format, counts as empty. Processes may share
/// a file: `add` merges what others have written, and of simultaneous writers the last one's file stays.
class PlanCache {
public:
    /// `file` need not exist; an empty name keeps everything in memory.
    explicit PlanCache(std::filesystem::path file);

    struct Entry {
        std::string choice;        ///< ConvolutionPlan::engine, or "kernel" where there is nothing to choose
        double microseconds = 0;   ///< 0: not measured
        int left_out = 0;          ///< engines that were not tried, because the budget of the search was spent
        double budget_seconds = 0; ///< that budget; 0 if nothing was left out
    };
    /// `problem` is one line, such as ConvolutionProblem::text.
    std::optional<Entry> find(const std::string& problem) const;
    /// Adds an entry, or replaces it, and writes the file. Times are rounded to tenths of microseconds and seconds. If
    /// the file cannot be written, only this process knows the entry.
    void add(const std::string& problem, const std::string& choice, double microseconds, int left_out = 0,
             double budget_seconds = 0);
    /// The file, or why the times are not kept on disk, in one line.
    std::string place() const;

    /// $XDG_CACHE_HOME/scene, else $HOME/.cache/scene, else scene-<user id> in the folder for temporary files ($TMPDIR,
    /// /tmp), created for this user alone. Empty if that folder is another user's or others have access to it.
    static std::filesystem::path folder();
    /// "NVIDIA-H100-80GB-HBM3-cudnn-9.19.0.plans" in folder(); empty if folder() is.
    static std::filesystem::path file_for(const std::string& device, const std::string& cudnn_version);

private:
    std::map<std::string, Entry> read() const;
    void write() const;

    std::filesystem::path file_;
    std::string write_failure_;
    std::map<std::string, Entry> entries_;
};

} // namespace scene::cuda
