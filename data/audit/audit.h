#pragma once

// What a split leaks through the metadata alone. In CAS2023 all clips of a recording session have one label. A table
// from session to label scores about 0.93 without any audio where sessions are on both sides of a split.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"

namespace scene {

/// Counts of the clips of one class, city, session or device, and of their parts in the split.
struct ClipCounts {
    std::string name; ///< empty: unlabelled, or unknown
    int64_t clips = 0, labelled = 0;
    int64_t classes = 0; ///< number of different labels
    int64_t train_labelled = 0, train_unlabelled = 0, test = 0;

    int64_t left_out() const { return clips - train_labelled - train_unlabelled - test; }
};

/// How many test clips share their group (session or city) with training clips. `labelled` and `any` are shares of the
/// test clips whose group is known; NaN if there are none.
struct LeakedShare {
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

    double labelled = unknown; ///< the group has clips that train with their label
    double any = unknown;      ///< the group has clips that train, with or without their label
    double known = unknown;    ///< share of all test clips whose group is known; NaN without test clips
};

/// The score of a classifier that knows the metadata only: a table from a key to the most frequent label among the
/// training clips with that key (a tie goes to the first class). A test clip is covered if a training clip has its key.
/// Balanced accuracy is the mean recall over the classes that occur in the test. NaN without labelled test clips.
struct MetadataScore {
    std::string key;              ///< "session", "city_date_hour", "city_date" or "city"
    double balanced_accuracy = 0; ///< clips that are not covered count as wrong
    double with_majority = 0;     ///< clips that are not covered get the most frequent training label
    double coverage = 0;          ///< share of the labelled test clips that are covered
};

struct Audit {
    ClipCounts total;
    std::vector<ClipCounts> classes;  ///< in index order, then the unlabelled clips if there are any
    std::vector<ClipCounts> cities;   ///< in index order, those that occur, then unknown
    std::vector<ClipCounts> sessions; ///< in the order of their first clips, then unknown
    std::vector<ClipCounts> devices;  ///< in the order of their first clips, then unknown
    int64_t session_count = 0;        ///< known sessions
    int64_t labelled_sessions = 0;    ///< sessions with at least one labelled clip
    int64_t pure_sessions = 0;        ///< labelled sessions with one label
    LeakedShare session_leak, city_leak;
    std::vector<MetadataScore> metadata_only;
};

/// Audits a split of these clips. Test clips without a label are not scored.
Audit audit(const StoreColumns& columns, const Split& split);

/// Audit::session_leak alone. Every line with a score on test clips shows it.
LeakedShare session_leak(const StoreColumns& columns, const Split& split);
/// "leaked 0.932", "leaked 0.932 (0.998 with unlabelled training clips)", "leaked: unknown (no sessions)".
std::string leak_text(const LeakedShare& leak);

/// The columns that the dataset's store would have, with default features and no fit rule.
StoreColumns columns_of(const Dataset& dataset);

} // namespace scene
