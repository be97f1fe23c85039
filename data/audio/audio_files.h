#pragma once

// Which files of a folder are audio: one answer for class folders, for metadata that name clips by a part of their
// file's name, and for prediction.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace scene {

/// True for the names of formats that the installed libsndfile decodes, in any case: WAV, FLAC, OGG, MP3, AIFF ...
bool is_audio_name(const std::filesystem::path& file);

/// True for what nobody means to be data: hidden files and folders, what a Mac or Windows leaves in folders and
/// archives, and editors' backups.
bool is_ignored_name(const std::filesystem::path& file);

/// What lies in folders and was not taken, ignored names apart.
struct LeftOut {
    std::map<std::string, int64_t> by_extension;   ///< files that are no audio, or none that can be decoded
    std::vector<std::filesystem::path> unreadable; ///< folders

    void add(const LeftOut& other);
    void add_file(const std::filesystem::path& file);
    /// "12 files are no audio and were left out: 9 .txt, 3 .jpg"; empty if there are none.
    std::string files_text() const;
    /// "2 folders cannot be read, first a/b; check their permissions"; empty if there are none.
    std::string folders_text() const;
};

struct AudioFiles {
    std::vector<std::filesystem::path> files; ///< sorted; a link that leads nowhere is among them
    LeftOut left_out;
};

/// The audio files anywhere below a folder, through links too; a link back to a folder above is a loop and is not
/// followed. What is reached twice counts once, under the name without a link if it has one.
AudioFiles audio_files_below(const std::filesystem::path& folder);

/// The folders directly in a folder, links to folders too, sorted, without ignored names. An Error if the folder cannot
/// be read.
std::vector<std::filesystem::path> folders_in(const std::filesystem::path& folder);

/// The files directly in a folder, sorted, without ignored names, audio or not. An Error as above.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder);

} // namespace scene
