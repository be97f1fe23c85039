#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/formats/csv.h"
#include "data/formats/dataset.h"

namespace scene {

/// Finds the audio file that a table's cell names. Absolute paths are tried as they are. Relative ones are tried, first
/// as written and then with slashes for backslashes:
/// - Without DatasetOptions::audio: beside the table, in `audio` beside it, in the folder above, in `audio` there. The
///   first file that exists is taken.
/// - With DatasetOptions::audio: in that folder. Otherwise the audio file below it whose path, relative to the folder,
///   ends with the cell's path or is an end of it (the cell may be a path on another machine). The longest common end
///   wins; a tie is an Error.
class AudioFinder {
public:
    AudioFinder(const CsvTable& table, const DatasetOptions& options);

    /// The file, or an empty path if there is none. `place` ("table.csv:12") begins error messages.
    std::filesystem::path find(const std::string& cell, const std::string& place);
    /// A file below DatasetOptions::audio with the cell's file name in any folder, for a hint; empty if there is none.
    std::filesystem::path namesake(const std::string& cell);

private:
    /// A file below the audio folder.
    struct Candidate {
        std::filesystem::path file;
        std::vector<std::string> parts; ///< of its path, from that folder on
    };

    const std::vector<Candidate>& candidates(const std::string& name);
    std::filesystem::path below_audio(const std::filesystem::path& cell, const std::string& place);

    std::filesystem::path beside_, audio_;
    std::optional<std::unordered_map<std::string, std::vector<Candidate>>> by_name_; ///< made when first needed
};

/// The path in a cell as this system writes it: slashes for backslashes, no drive letter.
std::filesystem::path portable_path(const std::string& cell);

} // namespace scene
