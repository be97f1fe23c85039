#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace scene::cuda {

/// What was measured: which choice was the quickest for which problem, and how quick, on disk: one file per device and
/// version of cuDNN. Text; a file that is damaged or of another format counts as empty. Programs may share it: the last
/// writer's entries stay.
class PlanCache {
public:
    /// `file` need not exist; an empty name keeps everything in memory.
    explicit PlanCache(std::filesystem::path file);

    struct Entry {
        std::string choice; ///< ConvolutionPlan::engine, or "kernel" where there is nothing to choose
        double microseconds = 0;
    };
    /// `problem` is one line, such as ConvolutionProblem::text.
    std::optional<Entry> find(const std::string& problem) const;
    /// Remembers tenths of microseconds and writes the file. Where that fails, the entry is known to this process only.
    void add(const std::string& problem, const std::string& choice, double microseconds);
    /// The file, or why there is none, in one line.
    std::string place() const;

    /// $XDG_CACHE_HOME/scene, or ~/.cache/scene, or, where there is no home, scene-<user id> in the folder for
    /// temporary files ($TMPDIR, /tmp), made for this user alone; empty where that is not his own.
    static std::filesystem::path folder();
    /// "NVIDIA-H100-80GB-HBM3-cudnn-9.19.0.plans" in the folder; empty where that is.
    static std::filesystem::path file_for(const std::string& device, const std::string& cudnn_version);

private:
    std::map<std::string, Entry> read() const;
    void write() const;

    std::filesystem::path file_;
    std::string write_failure_;
    std::map<std::string, Entry> entries_;
};

} // namespace scene::cuda
