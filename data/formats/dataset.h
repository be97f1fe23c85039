#pragma once

// A dataset, whatever its format: a list of clips with label, city, time, device, session and fold.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/formats/record_time.h"

namespace scene {

struct Clip {
    std::string name;           ///< as the metadata writes it; unique
    std::filesystem::path file; ///< empty if audio is not required and was not found
    int label = -1;             ///< index into Dataset::classes, -1: unlabelled
    std::string city;           ///< empty: unknown
    std::optional<RecordTime> time;
    std::string device;  ///< empty: unknown
    std::string session; ///< the same for all clips of one recording; empty: unknown
    int fold = -1;       ///< -1: none
    size_t line = 0;     ///< of the metadata file; 0 if there is none
};

struct Dataset {
    std::string format;                  ///< "cas2023", "esc50", "tau", "table", "folder"
    std::vector<std::string> classes;    ///< in index order
    std::vector<std::string> cities;     ///< in index order; a model does not know any other city
    std::vector<Clip> clips;             ///< in the order of the metadata
    std::filesystem::path source;        ///< the metadata file or the folder of class folders
    std::vector<std::string> notes = {}; ///< a sentence for each oddity and for what was left out

    /// Index into `cities`, -1 if the city is not among them.
    int city_index(const std::string& city) const;
};

struct DatasetOptions {
    /// "auto", "cas2023", "esc50", "tau", "table" or "folder".
    std::string format = "auto";
    /// The folder of the audio. Empty: cas2023 searches in `audio` beside the metadata file, or beside that file if
    /// there is none; the other formats look where AudioFinder does (data/audio/audio_finder.h).
    std::filesystem::path audio = {};
    /// Table format: a header cell for each of {file, label, city, time, fold, session, device}. Those left out are
    /// looked for under their own and their usual names (data/formats/table_columns.h). Only `file` must exist.
    std::map<std::string, std::string> columns = {};
    /// Table and folder formats: the classes in index order, each once; empty: all labels found, sorted.
    std::vector<std::string> classes = {};
    /// false: a clip without an audio file is kept with an empty `file`, and cas2023 searches for audio only if `audio`
    /// is set.
    bool require_audio = true;
    /// true: audio is searched for as if it were required, and clips without are kept all the same.
    bool keep_missing = false;
};

/// Reads a dataset from its metadata file, or from a folder that holds such a file or one folder of audio per class. Of
/// several tables in a folder, the one with the most specific header is the metadata.
///
/// Formats:
/// - cas2023: `filename,location,record_time,scene_label` or `filename,scene_label`. The file of clip FILENAME is the
///   audio file called *FILENAME* anywhere below the audio folder. Case, spaces, underscores, hyphens and apostrophes
///   in labels do not count. Session: city and time.
/// - esc50: `filename,fold,target,category` and more. Session: the recording that the clip is an excerpt of.
/// - tau: `filename scene_label identifier source_label`, or the first two separated by a tab. City from the file name;
///   device from source_label, else from the file name. Session: identifier.
/// - table: any table with a column for the file (data/formats/table_columns.h).
/// - folder: one folder of audio per class. Clips in a folder `unlabelled` have no label.
///
/// Error, one line with file and row: a wrong header (found, expected), two rows with one name or one file, an unknown
/// label, a bad time or fold, missing audio files (the first 10 rows, then their number), a file in two class folders,
/// no dataset.
Dataset read_dataset(const std::filesystem::path& path, const DatasetOptions& options = {});

} // namespace scene
