#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// The clips that train with their label, those that train without it (with pseudo labels from stage 2 on), and those
/// that test. Indices into the store, ascending.
struct Split {
    std::string name;
    uint64_t seed = 0;
    std::vector<int32_t> labelled, unlabelled, test;
    bool operator==(const Split&) const = default;
};

/// The metadata that splits are made from: one entry per clip in every span that is not empty.
struct ClipColumns {
    std::span<const int32_t> label; ///< -1: unlabelled
    std::span<const int32_t> fold;  ///< -1: none
    std::vector<std::string> classes;
    std::span<const std::string> session = {}; ///< empty text: unknown
    std::span<const int32_t> city = {};        ///< index into `cities`, -1: unknown
    std::vector<std::string> cities = {};
    std::span<const std::string> name = {};
};

struct SplitOptions {
    /// "simulation": half of the labelled clips of every class train and half test; all others train without a label
    ///               (paper, section III-A: 870 / 6,960 / 870).
    /// "experiment": all labelled clips train, all others train without a label, none test (1,740 / 6,960).
    /// "fold:K":     the labelled clips of fold K test; of the other folds, `labelled_share` of every class trains with
    ///               its label and the rest without. Unlabelled clips of fold K are left out.
    /// "session":    all clips of a recording session are on one side; about `test_share` of every class tests, as
    ///               nearly as whole sessions allow. Unlabelled clips of test sessions are left out, because pseudo
    ///               labels would leak the session into the training; so are those of unknown sessions.
    /// "city":       all clips of a city are on one side: `cities` test, or, if that is empty, cities drawn so that
    ///               about `test_share` of every class tests. Unlabelled clips of test cities and of unknown cities are
    ///               left out.
    /// "official":   the clips named in `test_list` test, those in `train_list` train; all others are left out.
    std::string name = "simulation";
    uint64_t seed = 1234;
    double labelled_share = 0.2;
    double test_share = 0.5;
    std::vector<std::string> cities = {};
    /// CSV or TSV files with a column `filename` (as TAU's fold1_train.csv), or one file name per line. A name means
    /// the clip of that name, or else the only clip with the same last path component.
    std::filesystem::path train_list = {}, test_list = {};
};

/// Makes a split; the same options give the same split on every machine. Error: an unknown name, a class without a clip
/// to train on or to test, a labelled clip whose fold, session or city is needed and unknown, lists that do not fit the
/// clips.
Split make_split(const ClipColumns& clips, const SplitOptions& options);

/// Clips divided into those that train and those that choose the epoch.
struct ValidationSplit {
    std::vector<int32_t> train, validation; ///< ascending
};

/// Holds out `share` of the clips `indices` for validation, at random and by class: the same share of every class of
/// `label` (which may hold pseudo labels) and of the clips of label -1. Classes with a single clip keep it for
/// training.
ValidationSplit validation_split(std::span<const int32_t> indices, std::span<const int32_t> label, double share = 0.2,
                                 uint64_t seed = 1234);

/// Writes JSON: {"format", "version", "name", "seed", "clips", "labelled", "unlabelled", "test"}.
void save_split(const std::filesystem::path& file, const Split& split, int64_t clips);
/// Error: the file is not a split, was made for another number of clips, or puts a clip into two parts.
Split load_split(const std::filesystem::path& file, int64_t clips);

} // namespace scene
