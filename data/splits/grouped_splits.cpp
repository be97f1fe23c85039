#include "data/splits/grouped_splits.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>

#include "data/formats/dataset_format.h"
#include "data/random_sequence.h"
#include "kernels/error.h"

namespace scene {
namespace {

using Indices = std::vector<int32_t>;

// Stream of the random draws (kernels/philox.h); the step is the attempt.
constexpr uint32_t order_stream = 0x5B110003, unlabelled_stream = 0x5B110005;
constexpr uint32_t attempts = 64;

/// The labelled clips' groups, numbered in the order in which they first occur.
struct Groups {
    std::string_view kind, plural; ///< "session", "sessions"
    std::vector<std::string> names;
    std::vector<int32_t> of_clip;              ///< [clips of the store]; -1: none, or no labelled clip in it
    std::vector<std::vector<size_t>> of_class; ///< [classes], groups that have labelled clips of the class
    std::vector<std::vector<int64_t>> counts;  ///< [groups][classes] labelled clips

    size_t size() const { return names.size(); }
};

/// `name_of(clip)` is the name of a clip's group, empty if it is unknown.
template <typename NameOf> Groups group_clips(const ClipColumns& clips, const Indices& labelled, std::string_view kind,
                                              std::string_view plural, std::string_view remedy, NameOf&& name_of,
                                              const SplitOptions& options) {
    Groups groups{kind, plural, {}, Indices(clips.label.size(), -1), {}, {}};
    groups.of_class.resize(clips.classes.size());
    const auto known = [&](int32_t clip) { return !name_of(clip).empty(); };
    if (std::none_of(labelled.begin(), labelled.end(), known))
        fail("split {}: no labelled clip has a {}; {} or choose another split", options.name, kind, remedy);
    std::unordered_map<std::string, int32_t> index_of;
    for (int32_t clip : labelled) {
        const auto at = static_cast<size_t>(clip);
        const std::string name(name_of(clip));
        if (name.empty())
            fail("split {}: clip {} has a label but no {}; {} or choose another split", options.name,
                 clips.name.empty() ? std::to_string(clip) : "'" + clips.name[at] + "'", kind, remedy);
        const auto [found, fresh] = index_of.emplace(name, static_cast<int32_t>(groups.size()));
        if (fresh) {
            groups.names.push_back(name);
            groups.counts.emplace_back(clips.classes.size());
        }
        const auto group = static_cast<size_t>(found->second), label = static_cast<size_t>(clips.label[at]);
        if (groups.counts[group][label]++ == 0) groups.of_class[label].push_back(group);
    }
    for (size_t i = 0; i < clips.label.size(); ++i)
        if (const auto found = index_of.find(std::string(name_of(static_cast<int32_t>(i)))); found != index_of.end())
            groups.of_clip[i] = found->second;
    return groups;
}

/// Assigns whole groups to the test, so that every class is on both sides and near its share. It uses integers only, so
/// that no choice between two moves depends on a compiler's rounding.
class Division {
public:
    Division(const Groups& groups, double share)
        : groups_(groups), share_(std::llround(share * one)), total_(groups.of_class.size()) {
        for (const auto& counts : groups.counts)
            for (size_t c = 0; c < total_.size(); ++c) total_[c] += counts[c];
    }

    /// Visits the groups in random order and takes each that brings the test nearer to its share, then moves groups for
    /// classes that are on one side only. nullopt if that fails.
    std::optional<std::vector<bool>> attempt(uint64_t seed, uint32_t number) {
        std::vector<size_t> order(groups_.size());
        std::iota(order.begin(), order.end(), size_t{0});
        RandomSequence random(seed, order_stream, number);
        shuffle(order, random);
        tests_.assign(groups_.size(), false);
        taken_.assign(total_.size(), 0);
        for (size_t g : order)
            if (distance_after(g) < distance_after({})) move(g);
        for (size_t c = 0; c < total_.size(); ++c) {
            const bool no_test = taken_[c] == 0, no_training = taken_[c] == total_[c];
            if (!no_test && !no_training) continue;
            std::optional<size_t> best;
            for (size_t g : order)
                if (groups_.counts[g][c] > 0 && may_move(g) && (!best || distance_after(g) < distance_after(best)))
                    best = g;
            if (!best) return {};
            move(*best);
        }
        return tests_;
    }

private:
    static constexpr int64_t one = int64_t{1}
                                   << 24; ///< a share of 1 in fixed point; sums of squared shares fit in 64 bits

    /// Clips of class c in the test if `group`, where given, changed sides.
    int64_t taken_after(size_t c, std::optional<size_t> group) const {
        if (!group) return taken_[c];
        return taken_[c] + (tests_[*group] ? -1 : 1) * groups_.counts[*group][c];
    }
    /// Sum over the classes of the squared difference between the share in the test and the wanted one.
    int64_t distance_after(std::optional<size_t> group) const {
        int64_t sum = 0;
        for (size_t c = 0; c < total_.size(); ++c) {
            const int64_t off = (taken_after(c, group) * one - share_ * total_[c]) / total_[c];
            sum += off * off;
        }
        return sum;
    }
    /// True if every class that is on both sides stays on both when the group changes sides.
    bool may_move(size_t g) const {
        for (size_t c = 0; c < total_.size(); ++c) {
            const bool both = taken_[c] > 0 && taken_[c] < total_[c];
            const int64_t after = taken_after(c, g);
            if (groups_.counts[g][c] > 0 && both && (after == 0 || after == total_[c])) return false;
        }
        return true;
    }
    void move(size_t g) {
        for (size_t c = 0; c < total_.size(); ++c) taken_[c] = taken_after(c, g);
        tests_[g] = !tests_[g];
    }

    const Groups& groups_;
    int64_t share_;                      ///< of the test, in units of 1/one
    std::vector<int64_t> total_, taken_; ///< [classes] labelled clips: all, in the test
    std::vector<bool> tests_;            ///< [groups]
};

void require_two_groups_per_class(const ClipColumns& clips, const Groups& groups, const SplitOptions& options) {
    for (size_t c = 0; c < clips.classes.size(); ++c) {
        if (groups.of_class[c].empty())
            fail("split {}: class '{}' has no labelled clips; label some or choose another split", options.name,
                 clips.classes[c]);
        if (groups.of_class[c].size() == 1)
            fail("split {}: class '{}' has labelled clips in one {} only, {}, so that it cannot both train and test; "
                 "label clips of another {} or choose another split",
                 options.name, clips.classes[c], groups.kind, groups.names[groups.of_class[c][0]], groups.kind);
    }
}

std::vector<bool> draw_test_groups(const ClipColumns& clips, const Groups& groups, const SplitOptions& options) {
    require_two_groups_per_class(clips, groups, options);
    Division division(groups, options.test_share);
    for (uint32_t number = 0; number < attempts; ++number)
        if (const auto tests = division.attempt(options.seed, number)) return *tests;
    fail("split {}: {} draws of the {} {} found none that has every class on both sides; label clips of more {} or "
         "choose another split",
         options.name, attempts, groups.size(), groups.plural, groups.plural);
}

/// Builds the split. Labelled clips go to the side of their group; unlabelled ones train if `may_train(clip)` and their
/// group does not test.
template <typename MayTrain> Split assemble(const Groups& groups, const std::vector<bool>& tests,
                                            const Indices& labelled, const Indices& unlabelled,
                                            const SplitOptions& options, MayTrain&& may_train) {
    Split split{options.name, options.seed, {}, {}, {}};
    const auto group_tests = [&](int32_t clip) {
        const int32_t group = groups.of_clip[static_cast<size_t>(clip)];
        return group >= 0 && tests[static_cast<size_t>(group)];
    };
    for (int32_t clip : labelled) (group_tests(clip) ? split.test : split.labelled).push_back(clip);
    for (int32_t clip : unlabelled)
        if (may_train(clip) && !group_tests(clip)) split.unlabelled.push_back(clip);
    return split;
}

void require_share(const SplitOptions& options) {
    if (!(options.test_share > 0 && options.test_share < 1))
        fail("split {}: a test share of {} is impossible; choose one between 0 and 1", options.name,
             options.test_share);
}

/// Empty where it is unknown.
std::string_view session_name(const ClipColumns& clips, int32_t clip) {
    return clips.session[static_cast<size_t>(clip)];
}

std::string_view city_name(const ClipColumns& clips, int32_t clip) {
    const int32_t index = clips.city[static_cast<size_t>(clip)];
    return index < 0 ? std::string_view() : std::string_view(clips.cities[static_cast<size_t>(index)]);
}

/// The groups of the cities that the user named; every class must be on both sides.
std::vector<bool> named_test_cities(const ClipColumns& clips, const Groups& groups, const SplitOptions& options) {
    std::vector<bool> tests(groups.size());
    for (const std::string& wanted : options.cities) {
        const auto same = [&](const std::string& city) { return folded_name(city) == folded_name(wanted); };
        const auto found = std::find_if(groups.names.begin(), groups.names.end(), same);
        if (found == groups.names.end())
            fail("split {}: no labelled clip was recorded in '{}'; the cities are {}", options.name, wanted,
                 listed(groups.names));
        tests[static_cast<size_t>(found - groups.names.begin())] = true;
    }
    const std::string held_out = listed(options.cities);
    for (size_t c = 0; c < clips.classes.size(); ++c) {
        std::vector<std::string> inside, outside;
        for (size_t g : groups.of_class[c]) (tests[g] ? inside : outside).push_back(groups.names[g]);
        if (inside.empty())
            fail("split {}: class '{}' has no labelled clips to test on in {}; hold out {} too or choose another split",
                 options.name, clips.classes[c], held_out,
                 outside.empty() ? "a city that has some" : "one of " + listed(outside));
        if (outside.empty())
            fail("split {}: class '{}' has labelled clips in {} only, so none is left to train on; hold out other "
                 "cities or choose another split",
                 options.name, clips.classes[c], listed(inside));
    }
    return tests;
}

} // namespace

Split session_split(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled,
                    const SplitOptions& options) {
    SCENE_CHECK(clips.session.size() == clips.label.size(), "a session split needs the sessions");
    require_share(options);
    const auto session = [&](int32_t clip) { return session_name(clips, clip); };
    const Groups groups =
        group_clips(clips, labelled, "session", "sessions",
                    "give every labelled clip one (a column 'session', or city and time)", session, options);
    return assemble(groups, draw_test_groups(clips, groups, options), labelled, unlabelled, options,
                    [&](int32_t clip) { return !session(clip).empty(); });
}

Split city_split(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled,
                 const SplitOptions& options) {
    SCENE_CHECK(clips.city.size() == clips.label.size(), "a city split needs the cities");
    require_share(options);
    const auto city = [&](int32_t clip) { return city_name(clips, clip); };
    const Groups groups = group_clips(clips, labelled, "city", "cities", "give every labelled clip one", city, options);
    const std::vector<bool> tests =
        options.cities.empty() ? draw_test_groups(clips, groups, options) : named_test_cities(clips, groups, options);
    return assemble(groups, tests, labelled, unlabelled, options, [&](int32_t clip) { return !city(clip).empty(); });
}

GroupedValidation grouped_validation(const ClipColumns& clips, const Indices& labelled, const Indices& unlabelled,
                                     const SplitOptions& options) {
    const bool by_city = options.name == "city";
    SCENE_CHECK(by_city || options.name == "session", "a validation keeps sessions or cities whole");
    const auto group = [&](int32_t clip) { return by_city ? city_name(clips, clip) : session_name(clips, clip); };
    Split division = (by_city ? city_split : session_split)(clips, labelled, {}, options);

    std::set<std::string_view> with_labels, validating;
    for (int32_t clip : labelled) with_labels.insert(group(clip));
    for (int32_t clip : division.test) validating.insert(group(clip));
    std::map<std::string_view, size_t> others; // clips of each group without labels
    size_t held_out = 0;
    for (int32_t clip : unlabelled) {
        if (validating.contains(group(clip)))
            ++held_out;
        else if (!group(clip).empty() && !with_labels.contains(group(clip)))
            ++others[group(clip)];
    }
    std::vector<std::string_view> order;
    for (const auto& [name, count] : others) order.push_back(name);
    RandomSequence random(options.seed, unlabelled_stream);
    shuffle(order, random);
    const auto wanted = static_cast<size_t>(options.test_share * static_cast<double>(unlabelled.size()));
    for (std::string_view name : order) {
        if (held_out + others[name] > wanted) continue;
        held_out += others[name];
        validating.insert(name);
    }

    GroupedValidation out{{std::move(division.labelled), std::move(division.test)}, {}};
    for (int32_t clip : unlabelled)
        (validating.contains(group(clip)) ? out.unlabelled.validation : out.unlabelled.train).push_back(clip);
    return out;
}

} // namespace scene
