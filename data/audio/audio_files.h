#pragma once

// Which files in a folder are audio. Class folders, metadata that name a clip by part of its file name, and prediction
// all use this.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace scene {

/// True where the extension, in upper or lower case, is that of a format which the installed libsndfile decodes: WAV,
/// FLAC, OGG, MP3, AIFF ...
bool is_audio_name(const std::filesystem::path& file);

/// True for files and folders that are never data: hidden ones, those that macOS and Windows leave in folders and
/// archives, and editors' backups.
bool is_ignored_name(const std::filesystem::path& file);

/// What was found in folders and left out. Ignored names are not counted.
struct LeftOut {
    std::map<std::string, int64_t> by_extension;   ///< files that are not audio, or cannot be decoded
    std::vector<std::filesystem::path> unreadable; ///< folders

    void add(const LeftOut& other);
    void add_file(const std::filesystem::path& file);
    /// "12 files are no audio and were left out: 9 .txt, 3 .jpg"; empty if there are none.
    std::string files_text() const;
    /// "2 folders cannot be read, first a/b; check their permissions"; empty if there are none.
    std::string folders_text() const;
};

struct AudioFiles {
    std::vector<std::filesystem::path> files; ///< sorted; includes dangling links
    LeftOut left_out;
};

/// The audio files anywhere below a folder. Links are followed, except links to a folder above, which would be loops. A
/// file that is reached twice is listed once, by the path without a link if there is one.
AudioFiles audio_files_below(const std::filesystem::path& folder);

/// The folders directly in a folder, including links to folders, sorted, without ignored names. Error: the folder
/// cannot be read.
std::vector<std::filesystem::path> folders_in(const std::filesystem::path& folder);

/// The files directly in a folder, audio or not, sorted, without ignored names. Error: as for folders_in.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder);

} // namespace scene
