#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/formats/csv.h"
#include "data/formats/dataset.h"

namespace scene {

/// Finds the file that a cell of a table means. As the cell stands, with back-slashes as slashes where that is needed;
/// then
/// - without DatasetOptions::audio: beside the table, in a folder `audio` there, above the table, in a folder `audio`
///   there. The first that exists.
/// - with it: in that folder; else the audio file below it whose path ends as the cell does, or that the cell ends with
///   (a path of another machine), the longest common end first. Several as long are an Error.
class AudioFinder {
public:
    AudioFinder(const CsvTable& table, const DatasetOptions& options);

    /// Empty if there is none. `place` is for errors.
    std::filesystem::path find(const std::string& cell, const std::string& place);
    /// A file of that name which lies where the cell does not say; empty if there is none.
    std::filesystem::path namesake(const std::string& cell);

private:
    /// A file below the audio folder, by the parts of its path from that folder on.
    struct Candidate {
        std::filesystem::path file;
        std::vector<std::string> parts;
    };

    const std::vector<Candidate>& candidates(const std::string& name);
    std::filesystem::path below_audio(const std::filesystem::path& cell, const std::string& place);

    std::filesystem::path beside_, audio_;
    std::optional<std::unordered_map<std::string, std::vector<Candidate>>> by_name_; ///< made when first needed
};

/// The path in a cell, as this system writes it: slashes for back-slashes, no drive.
std::filesystem::path portable_path(const std::string& cell);

} // namespace scene
