#pragma once

// What the readers of all dataset formats agree on: a list of clips with label, place, time, device, session and fold.

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
    std::string session; ///< clips of one recording share it; empty: unknown
    int fold = -1;       ///< -1: none
    size_t line = 0;     ///< of the metadata file; 0 if there is none
};

struct Dataset {
    std::string format;                  ///< "cas2023", "esc50", "tau", "table", "folder"
    std::vector<std::string> classes;    ///< in index order
    std::vector<std::string> cities;     ///< known to the format, in index order; others are unknown to a model
    std::vector<Clip> clips;             ///< in the order of the metadata
    std::filesystem::path source;        ///< the metadata file or the folder of class folders
    std::vector<std::string> notes = {}; ///< what is odd about it and what was left out, a sentence each

    /// Index into `cities`, -1 if the city is not among them.
    int city_index(const std::string& city) const;
};

struct DatasetOptions {
    /// "auto", "cas2023", "esc50", "tau", "table" or "folder".
    std::string format = "auto";
    /// Where the audio is; empty: beside the metadata file or in a folder `audio` beside it.
    std::filesystem::path audio = {};
    /// Table format: which column holds what, from {file, label, city, time, fold, session, device} to a header cell.
    /// What is not mentioned is looked for under its own and its usual names; only `file` must exist.
    std::map<std::string, std::string> columns = {};
    /// Table and folder formats: the classes in index order, each once; empty: all labels found, sorted.
    std::vector<std::string> classes = {};
    /// false: clips whose file is missing are kept with an empty `file`.
    bool require_audio = true;
    /// true: they are looked for as if they were required, and kept all the same.
    bool keep_missing = false;
};

/// - cas2023: `filename,location,record_time,scene_label` or `filename,scene_label`; the file of clip FILENAME is the
///   audio file called *FILENAME* anywhere below the audio folder. Labels without regard to case, spaces and
///   underscores. Session: city and time.
/// - esc50: `filename,fold,target,category` and more. Session: the recording that a clip was cut from.
/// - tau: `filename scene_label identifier source_label`, or the first two separated by a tab; city from the file name,
///   device from source_label. Session: identifier.
/// - table: any table with a column for the file (data/formats/table_columns.h).
/// - folder: one folder of audio per class; clips in a folder `unlabelled` have no label.
/// Reads a dataset from its metadata file, or from a folder that holds one (or one folder of audio per class; where
/// several files could be the metadata, the one whose header says most). Errors are one line with file and row: wrong
/// header (found, expected), two rows of one name or one file, unknown labels, bad times and folds, missing audio files
/// (up to 10 rows, then their number), a file in two class folders, nothing in it.
Dataset read_dataset(const std::filesystem::path& path, const DatasetOptions& options = {});

} // namespace scene
