#include "data/splits/splits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <set>

#include "data/formats/dataset_format.h"
#include "data/random_sequence.h"
#include "data/splits/grouped_splits.h"
#include "data/splits/official_split.h"
#include "kernels/error.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"

namespace scene {
namespace {

using Indices = std::vector<int32_t>;

// Streams of the random draws (kernels/philox.h), one per purpose.
constexpr uint32_t shuffle_stream = 0x5B110001, remainder_stream = 0x5B110002;

constexpr std::string_view split_format = "scene.cu split";
constexpr int split_version = 1;

/// Clips grouped by label, in the order of `indices`; -1 is a group of its own.
std::map<int32_t, Indices> by_label(std::span<const int32_t> indices, std::span<const int32_t> label) {
    std::map<int32_t, Indices> groups;
    for (int32_t i : indices) groups[label[static_cast<size_t>(i)]].push_back(i);
    return groups;
}

/// How many clips to take of each group: `share` of its size by the largest-remainder method, so that the total is
/// round(share * all). The seed decides between equal remainders. Then each group gets at least `least` and leaves at
/// least `leave`, as far as its size allows.
std::vector<size_t> quotas(const std::vector<size_t>& sizes, double share, size_t least, size_t leave, uint64_t seed) {
    std::vector<size_t> quota(sizes.size()), order(sizes.size());
    const size_t total = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
    size_t given = 0;
    for (size_t g = 0; g < sizes.size(); ++g) {
        quota[g] = static_cast<size_t>(std::floor(share * static_cast<double>(sizes[g]) + 1e-9));
        given += quota[g];
    }
    std::iota(order.begin(), order.end(), size_t{0});
    RandomSequence random(seed, remainder_stream);
    shuffle(order, random);
    const auto remainder = [&](size_t g) {
        return share * static_cast<double>(sizes[g]) - static_cast<double>(quota[g]);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return remainder(a) > remainder(b) + 1e-9; });
    const auto wanted = static_cast<size_t>(std::llround(share * static_cast<double>(total)));
    for (size_t k = 0; k < order.size() && given < wanted; ++k, ++given) ++quota[order[k]];
    for (size_t g = 0; g < sizes.size(); ++g)
        quota[g] = std::max(std::min(quota[g], sizes[g] - std::min(leave, sizes[g])), std::min(least, sizes[g]));
    return quota;
}

struct Parts {
    Indices taken, left; ///< ascending
};

/// Takes `share` of every class at random; the seed decides which clips.
Parts take_share(std::span<const int32_t> indices, std::span<const int32_t> label, double share, size_t least,
                 size_t leave, uint64_t seed) {
    std::map<int32_t, Indices> groups = by_label(indices, label);
    std::vector<size_t> sizes;
    for (const auto& [value, members] : groups) sizes.push_back(members.size());
    const std::vector<size_t> quota = quotas(sizes, share, least, leave, seed);
    Parts parts;
    size_t g = 0;
    for (auto& [value, members] : groups) {
        RandomSequence random(seed, shuffle_stream, static_cast<uint32_t>(value + 1));
        shuffle(members, random);
        const auto middle = members.begin() + static_cast<ptrdiff_t>(quota[g++]);
        parts.taken.insert(parts.taken.end(), members.begin(), middle);
        parts.left.insert(parts.left.end(), middle, members.end());
    }
    std::sort(parts.taken.begin(), parts.taken.end());
    std::sort(parts.left.begin(), parts.left.end());
    return parts;
}

/// Every class needs at least `needed` of these clips.
void require_classes(const ClipColumns& clips, const Indices& indices, size_t needed, const std::string& split,
                     const std::string& purpose) {
    std::vector<size_t> count(clips.classes.size());
    for (int32_t i : indices) ++count[static_cast<size_t>(clips.label[static_cast<size_t>(i)])];
    for (size_t c = 0; c < count.size(); ++c)
        if (count[c] < needed)
            fail("split {}: class '{}' has {} labelled clips {}, at least {} needed; label more clips or choose "
                 "another split",
                 split, clips.classes[c], count[c], purpose, needed);
}

Split simulation(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled,
                 const SplitOptions& options) {
    require_classes(clips, labelled, 2, options.name, "to share between training and test");
    Parts parts = take_share(labelled, clips.label, 0.5, 1, 1, options.seed);
    return {options.name, options.seed, std::move(parts.taken), unlabelled, std::move(parts.left)};
}

Split experiment(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled,
                 const SplitOptions& options) {
    require_classes(clips, labelled, 1, options.name, "to train on");
    return {options.name, options.seed, labelled, unlabelled, {}};
}

Split held_out_fold(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled, int fold,
                    const SplitOptions& options) {
    if (!(options.labelled_share > 0 && options.labelled_share <= 1))
        fail("split {}: a labelled share of {} is impossible; choose one above 0 and up to 1", options.name,
             options.labelled_share);
    Split split{options.name, options.seed, {}, {}, {}};
    Indices rest;
    std::set<int32_t> folds;
    for (int32_t i : labelled) folds.insert(clips.fold[static_cast<size_t>(i)]);
    folds.erase(-1);
    if (folds.empty())
        fail("split {}: no labelled clip has a fold; give every labelled clip one (a column 'fold') or choose another "
             "split",
             options.name);
    if (!folds.contains(fold)) {
        std::vector<std::string> names;
        for (int32_t one : folds) names.push_back(std::to_string(one));
        fail("split {}: no labelled clip is in fold {}; the folds are {}", options.name, fold, listed(names));
    }
    for (int32_t i : labelled) {
        const int32_t of_clip = clips.fold[static_cast<size_t>(i)];
        if (of_clip < 0)
            fail("split {}: clip {} has a label but no fold; give every labelled clip one or choose another split",
                 options.name, clips.name.empty() ? std::to_string(i) : "'" + clips.name[static_cast<size_t>(i)] + "'");
        (of_clip == fold ? split.test : rest).push_back(i);
    }
    require_classes(clips, split.test, 1, options.name, "in the fold to test on");
    require_classes(clips, rest, 1, options.name, "in the other folds to train on");
    Parts parts = take_share(rest, clips.label, options.labelled_share, 1, 0, options.seed);
    split.labelled = std::move(parts.taken);
    split.unlabelled = std::move(parts.left);
    for (int32_t i : unlabelled)
        if (clips.fold[static_cast<size_t>(i)] != fold) split.unlabelled.push_back(i);
    std::sort(split.unlabelled.begin(), split.unlabelled.end());
    return split;
}

/// K of "fold:K"; -1 for another name.
int fold_of(std::string_view name) {
    constexpr std::string_view prefix = "fold:";
    if (!name.starts_with(prefix)) return -1;
    name.remove_prefix(prefix.size());
    int fold = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), fold);
    return error == std::errc() && end == name.data() + name.size() && fold >= 0 ? fold : -1;
}

/// The clips of one part of a split file; throws if it is not a list of ascending whole numbers.
Indices ascending(const nlohmann::json& list) {
    if (!list.is_array()) throw std::domain_error("not a list");
    Indices clips;
    for (const nlohmann::json& clip : list) clips.push_back(whole_number<int32_t>(clip));
    if (!std::is_sorted(clips.begin(), clips.end())) throw std::domain_error("not ascending");
    return clips;
}

} // namespace

Split make_split(const ClipColumns& clips, const SplitOptions& options) {
    Indices labelled, unlabelled;
    for (size_t i = 0; i < clips.label.size(); ++i)
        (clips.label[i] < 0 ? unlabelled : labelled).push_back(static_cast<int32_t>(i));
    if (options.name == "simulation") return simulation(clips, labelled, unlabelled, options);
    if (options.name == "experiment") return experiment(clips, labelled, unlabelled, options);
    if (options.name == "session") return session_split(clips, labelled, unlabelled, options);
    if (options.name == "city") return city_split(clips, labelled, unlabelled, options);
    if (options.name == "official") return official_split(clips, options);
    if (const int fold = fold_of(options.name); fold >= 0) {
        SCENE_CHECK(clips.fold.size() == clips.label.size(), "a fold split needs the folds");
        return held_out_fold(clips, labelled, unlabelled, fold, options);
    }
    fail("split '{}' is not known; choose simulation, experiment, session, city, official or fold:K (as in fold:4)",
         options.name);
}

ValidationSplit validation_split(std::span<const int32_t> indices, std::span<const int32_t> label, double share,
                                 uint64_t seed) {
    SCENE_CHECK(share > 0 && share < 1, "a share between 0 and 1 is held out");
    Parts parts = take_share(indices, label, share, 0, 1, seed);
    return {std::move(parts.left), std::move(parts.taken)};
}

void save_split(const std::filesystem::path& file, const Split& split, int64_t clips) {
    const nlohmann::ordered_json json = {{"format", split_format},
                                         {"version", split_version},
                                         {"name", split.name},
                                         {"seed", split.seed},
                                         {"clips", clips},
                                         {"labelled", split.labelled},
                                         {"unlabelled", split.unlabelled},
                                         {"test", split.test}};
    write_file(file, json_line(json) + "\n");
}

Split load_split(const std::filesystem::path& file, int64_t clips) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail("{}: cannot be opened; check the path and its permissions", file.string());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const nlohmann::json json = try_parse_json(text);
    if (!json.is_object() || !json.contains("format") || json["format"] != nlohmann::json(split_format))
        fail("{}: not a split file, or a damaged one; make it again", file.string());
    Split split;
    int64_t version = 0, clips_then = 0;
    try {
        version = whole_number<int64_t>(json.at("version"));
        if (version == split_version) {
            clips_then = whole_number<int64_t>(json.at("clips"));
            split = {json.at("name").get<std::string>(), whole_number<uint64_t>(json.at("seed")),
                     ascending(json.at("labelled")), ascending(json.at("unlabelled")), ascending(json.at("test"))};
        }
    } catch (const std::exception&) { fail("{}: a damaged split file; make it again", file.string()); }
    if (version != split_version)
        fail("{}: a split of version {}, this program reads {}; make it again", file.string(), version, split_version);
    if (clips_then != clips)
        fail("{}: made for a store of {} clips, this one has {}; make it again", file.string(), clips_then, clips);
    std::vector<bool> used(static_cast<size_t>(clips));
    for (const Indices* part : {&split.labelled, &split.unlabelled, &split.test})
        for (int32_t i : *part) {
            if (i < 0 || i >= clips || used[static_cast<size_t>(i)])
                fail("{}: clip {} is in two parts or not in the store; make the split again", file.string(), i);
            used[static_cast<size_t>(i)] = true;
        }
    return split;
}

} // namespace scene
