#include "data/audit/audit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "kernels/error.h"

namespace scene {
namespace {

constexpr double unknown = LeakedShare::unknown;

/// The name of a clip's group; empty: unknown.
using Key = std::function<std::string(size_t clip)>;

enum class Part : uint8_t { LeftOut, TrainLabelled, TrainUnlabelled, Test };

std::vector<Part> parts_of(const Split& split, int64_t clips) {
    std::vector<Part> parts(static_cast<size_t>(clips), Part::LeftOut);
    const auto mark = [&](const std::vector<int32_t>& indices, Part part) {
        for (int32_t clip : indices) parts.at(static_cast<size_t>(clip)) = part;
    };
    mark(split.labelled, Part::TrainLabelled);
    mark(split.unlabelled, Part::TrainUnlabelled);
    mark(split.test, Part::Test);
    return parts;
}

/// The keys of each clip.
class Keys {
public:
    explicit Keys(const StoreColumns& columns) : columns_(columns) {}

    std::string session(size_t clip) const { return columns_.sessions[clip]; }
    std::string device(size_t clip) const { return columns_.devices[clip]; }
    std::string label(size_t clip) const {
        return columns_.label[clip] < 0 ? "" : columns_.classes[static_cast<size_t>(columns_.label[clip])];
    }
    std::string city(size_t clip) const {
        return columns_.city[clip] < 0 ? "" : columns_.cities[static_cast<size_t>(columns_.city[clip])];
    }
    /// City and the first `length` characters of "YYYY-MM-DD HH:MM:SS".
    std::string city_time(size_t clip, size_t length) const {
        const std::string place = city(clip);
        if (place.empty() || columns_.recorded.empty() || columns_.recorded[clip].empty()) return "";
        return place + " " + columns_.recorded[clip].substr(0, length);
    }

private:
    const StoreColumns& columns_;
};

/// Counts by key. The names in `first` come first, in that order; clips without a key come last. Keys without clips are
/// left out.
std::vector<ClipCounts> count(const StoreColumns& columns, const std::vector<Part>& parts, const Key& key,
                              const std::vector<std::string>& first = {}) {
    std::vector<ClipCounts> counts;
    std::vector<std::set<int32_t>> labels;
    std::unordered_map<std::string, size_t> index_of;
    const auto index = [&](const std::string& name) {
        const auto [found, fresh] = index_of.emplace(name, counts.size());
        if (fresh) {
            counts.push_back({name});
            labels.emplace_back();
        }
        return found->second;
    };
    for (const std::string& name : first) index(name);
    for (size_t clip = 0; clip < parts.size(); ++clip) {
        const size_t at = index(key(clip));
        ClipCounts& one = counts[at];
        ++one.clips;
        if (columns.label[clip] >= 0) {
            ++one.labelled;
            labels[at].insert(columns.label[clip]);
        }
        one.train_labelled += parts[clip] == Part::TrainLabelled;
        one.train_unlabelled += parts[clip] == Part::TrainUnlabelled;
        one.test += parts[clip] == Part::Test;
    }
    for (size_t i = 0; i < counts.size(); ++i) counts[i].classes = static_cast<int64_t>(labels[i].size());
    std::erase_if(counts, [](const ClipCounts& one) { return one.clips == 0; });
    std::stable_partition(counts.begin(), counts.end(), [](const ClipCounts& one) { return !one.name.empty(); });
    return counts;
}

LeakedShare leaked_share(const Split& split, const Key& key) {
    std::unordered_set<std::string> labelled, any;
    for (int32_t clip : split.labelled) labelled.insert(key(static_cast<size_t>(clip)));
    any = labelled;
    for (int32_t clip : split.unlabelled) any.insert(key(static_cast<size_t>(clip)));
    double known = 0, with_labelled = 0, with_any = 0;
    for (int32_t clip : split.test) {
        const std::string group = key(static_cast<size_t>(clip));
        if (group.empty()) continue;
        ++known;
        with_labelled += labelled.contains(group);
        with_any += any.contains(group);
    }
    LeakedShare leak;
    if (!split.test.empty()) leak.known = known / static_cast<double>(split.test.size());
    if (known > 0) leak.labelled = with_labelled / known, leak.any = with_any / known;
    return leak;
}

using Votes = std::vector<int64_t>; ///< [classes]

int32_t majority(const Votes& votes) {
    return static_cast<int32_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

/// Mean recall of the classes that occur in the test.
double balanced_accuracy(const std::vector<double>& right, const std::vector<double>& tested) {
    double recalls = 0, present = 0;
    for (size_t c = 0; c < tested.size(); ++c) {
        if (tested[c] == 0) continue;
        recalls += right[c] / tested[c];
        ++present;
    }
    return recalls / present;
}

MetadataScore metadata_score(const StoreColumns& columns, const Split& split, const std::string& name, const Key& key) {
    const size_t classes = columns.classes.size();
    Votes all(classes);
    std::unordered_map<std::string, Votes> table;
    for (int32_t clip : split.labelled) {
        const auto at = static_cast<size_t>(clip);
        if (columns.label[at] < 0) continue;
        const auto label = static_cast<size_t>(columns.label[at]);
        ++all[label];
        if (const std::string of_clip = key(at); !of_clip.empty())
            ++table.try_emplace(of_clip, Votes(classes)).first->second[label];
    }
    const int32_t most_frequent = majority(all);
    std::vector<double> right(classes), right_with_majority(classes), tested(classes);
    double covered = 0, scored = 0;
    for (int32_t clip : split.test) {
        const auto at = static_cast<size_t>(clip);
        if (columns.label[at] < 0) continue;
        const auto label = static_cast<size_t>(columns.label[at]);
        const auto found = table.find(key(at));
        const bool is_covered = found != table.end();
        const int32_t answer = is_covered ? majority(found->second) : most_frequent;
        covered += is_covered;
        ++scored;
        ++tested[label];
        right[label] += is_covered && answer == columns.label[at];
        right_with_majority[label] += answer == columns.label[at];
    }
    if (scored == 0) return {name, unknown, unknown, unknown};
    return {name, balanced_accuracy(right, tested), balanced_accuracy(right_with_majority, tested), covered / scored};
}

} // namespace

Audit audit(const StoreColumns& columns, const Split& split) {
    const Keys keys(columns);
    const std::vector<Part> parts = parts_of(split, columns.clips());
    const Key session = [&](size_t clip) { return keys.session(clip); };
    const Key city = [&](size_t clip) { return keys.city(clip); };
    Audit out;
    out.total = count(columns, parts, [](size_t) { return "all"; }, {"all"}).at(0);
    out.classes = count(
        columns, parts, [&](size_t clip) { return keys.label(clip); }, columns.classes);
    out.cities = count(columns, parts, city, columns.cities);
    out.sessions = count(columns, parts, session);
    out.devices = count(columns, parts, [&](size_t clip) { return keys.device(clip); });
    for (const ClipCounts& one : out.sessions) {
        if (one.name.empty()) continue;
        ++out.session_count;
        out.labelled_sessions += one.classes > 0;
        out.pure_sessions += one.classes == 1;
    }
    out.session_leak = session_leak(columns, split);
    out.city_leak = leaked_share(split, city);
    constexpr size_t date = 10, date_and_hour = 13; // characters of "YYYY-MM-DD HH:MM:SS"
    out.metadata_only = {
        metadata_score(columns, split, "session", session),
        metadata_score(columns, split, "city_date_hour",
                       [&](size_t clip) { return keys.city_time(clip, date_and_hour); }),
        metadata_score(columns, split, "city_date", [&](size_t clip) { return keys.city_time(clip, date); }),
        metadata_score(columns, split, "city", city),
    };
    return out;
}

LeakedShare session_leak(const StoreColumns& columns, const Split& split) {
    return leaked_share(split, [&](size_t clip) { return columns.sessions[clip]; });
}

std::string leak_text(const LeakedShare& leak) {
    if (std::isnan(leak.known)) return "leaked: nothing to leak (no test clips)";
    if (std::isnan(leak.labelled)) return "leaked: unknown (no sessions)";
    std::string text = fmt::format("leaked {:.3f}", leak.labelled);
    if (leak.any > leak.labelled) text += fmt::format(" ({:.3f} with unlabelled training clips)", leak.any);
    if (leak.known < 1) text += fmt::format(" of the {:.1f} % whose session is known", 100 * leak.known);
    return text;
}

StoreColumns columns_of(const Dataset& dataset) {
    StoreColumns columns = store_columns(dataset, {}, "");
    for (const Clip& clip : dataset.clips) append_clip(columns, dataset, clip);
    return columns;
}

} // namespace scene
