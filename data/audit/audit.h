#pragma once

// What the metadata alone give away under a split. In CAS2023 all clips of a recording session have one label, so that
// a table from session to label, which hears nothing, scores about 0.93 where sessions are on both sides of a split.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"

namespace scene {

/// The clips of a class, city, session or device, and where the split has put them.
struct ClipCounts {
    std::string name; ///< empty: unlabelled, or unknown
    int64_t clips = 0, labelled = 0;
    int64_t classes = 0; ///< different labels
    int64_t train_labelled = 0, train_unlabelled = 0, test = 0;

    int64_t left_out() const { return clips - train_labelled - train_unlabelled - test; }
};

/// Shares of those test clips whose group (session or city) is known; NaN if there are none.
struct LeakedShare {
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

    double labelled = unknown; ///< whose group also has clips that train with their label
    double any = unknown;      ///< whose group also has clips that train at all
    double known = unknown;    ///< share of the test clips whose group is known; NaN without test clips
};

/// A table from a key to the label that most training clips of that key have (of equally frequent ones the first
/// class), applied to the test clips. A test clip is covered if a training clip has its key. Balanced accuracies, the
/// mean over the classes in the test of the share that is right, are NaN without a test.
struct MetadataScore {
    std::string key;              ///< "session", "city_date_hour", "city_date" or "city"
    double balanced_accuracy = 0; ///< clips that are not covered are wrong
    double with_majority = 0;     ///< clips that are not covered get the label that most training clips have
    double coverage = 0;          ///< share of the test clips that are covered
};

struct Audit {
    ClipCounts total;
    std::vector<ClipCounts> classes;  ///< in index order, then the unlabelled clips if there are any
    std::vector<ClipCounts> cities;   ///< in index order, those that occur, then unknown
    std::vector<ClipCounts> sessions; ///< in the order of their first clips, then unknown
    std::vector<ClipCounts> devices;  ///< in the order of their first clips, then unknown
    int64_t session_count = 0;        ///< known ones
    int64_t labelled_sessions = 0;    ///< with at least one labelled clip
    int64_t pure_sessions = 0;        ///< labelled ones whose labels all agree
    LeakedShare session_leak, city_leak;
    std::vector<MetadataScore> metadata_only;
};

/// `split` is of these clips; test clips without a label are not scored.
Audit audit(const StoreColumns& columns, const Split& split);

/// The sessions' part of an audit, for every line that tells a score on the test clips.
LeakedShare session_leak(const StoreColumns& columns, const Split& split);
/// "leaked 0.932", "leaked 0.932 (0.998 with unlabelled training clips)", "leaked: unknown (no sessions)".
std::string leak_text(const LeakedShare& leak);

/// The columns of a dataset as they would stand in its store.
StoreColumns columns_of(const Dataset& dataset);

} // namespace scene
