#include "data/splits/official_split.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "data/formats/audio_finder.h"
#include "data/formats/csv.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;
using Indices = std::vector<int32_t>;

constexpr int32_t several = -2;

/// A name with its path in normal form.
std::string spelt_alike(const std::string& name) { return portable_path(name).lexically_normal().string(); }

std::string last_component(const std::string& name) { return portable_path(name).filename().string(); }

struct ListedName {
    std::string name, place;
};

std::vector<ListedName> read_list(const fs::path& file) {
    const CsvTable table = read_csv(file);
    const int named = std::max(table.find("filename"), table.find("file"));
    if (named < 0 && table.header.size() > 1)
        fail("{}: wrong header: found {}; expected a column 'filename', or one file name per line", file.string(),
             table.header_text());
    std::vector<ListedName> names;
    if (named < 0) names.push_back({table.header[0], table.name + ":1"}); // no header: the first line is a name too
    for (const CsvRow& row : table.rows)
        names.push_back({row.fields[static_cast<size_t>(std::max(named, 0))], table.place(row)});
    return names;
}

/// Finds clips by name or by the last component of their name.
class ClipIndex {
public:
    explicit ClipIndex(std::span<const std::string> names) {
        for (size_t i = 0; i < names.size(); ++i) {
            const auto clip = static_cast<int32_t>(i);
            by_name_.emplace(spelt_alike(names[i]), clip);
            if (const auto [found, fresh] = by_last_.emplace(last_component(names[i]), clip); !fresh)
                found->second = several;
        }
    }
    int32_t find(const ListedName& listed) const {
        if (const auto exact = by_name_.find(spelt_alike(listed.name)); exact != by_name_.end()) return exact->second;
        const auto found = by_last_.find(last_component(listed.name));
        if (found == by_last_.end())
            fail("{}: there is no clip '{}' in the data; remove the row, or prepare the clip", listed.place,
                 listed.name);
        if (found->second == several)
            fail("{}: several clips are called '{}'; write the name as the metadata does", listed.place,
                 last_component(listed.name));
        return found->second;
    }

private:
    std::unordered_map<std::string, int32_t> by_name_, by_last_;
};

} // namespace

Split official_split(const ClipColumns& clips, const SplitOptions& options) {
    SCENE_CHECK(clips.name.size() == clips.label.size(), "an official split needs the names");
    if (options.train_list.empty() || options.test_list.empty())
        fail("split official: needs the data set's two lists of files; name them with split.train_list and "
             "split.test_list (--train-list and --test-list)");
    const ClipIndex index(clips.name);
    Split split{options.name, options.seed, {}, {}, {}};
    std::vector<std::string> used(clips.label.size());
    const auto take = [&](const ListedName& listed) {
        const int32_t clip = index.find(listed);
        std::string& place = used[static_cast<size_t>(clip)];
        if (!place.empty())
            fail("{}: '{}' already stands at {}; a clip can train or test, once", listed.place, listed.name, place);
        place = listed.place;
        return clip;
    };
    std::vector<size_t> trained(clips.classes.size()), tested(clips.classes.size());
    for (const ListedName& listed : read_list(options.train_list)) {
        const int32_t clip = take(listed), label = clips.label[static_cast<size_t>(clip)];
        (label < 0 ? split.unlabelled : split.labelled).push_back(clip);
        if (label >= 0) ++trained[static_cast<size_t>(label)];
    }
    for (const ListedName& listed : read_list(options.test_list)) {
        const int32_t clip = take(listed), label = clips.label[static_cast<size_t>(clip)];
        if (label < 0) fail("{}: '{}' is to test but has no label", listed.place, listed.name);
        split.test.push_back(clip);
        ++tested[static_cast<size_t>(label)];
    }
    for (size_t c = 0; c < clips.classes.size(); ++c)
        for (const auto& [count, list] : {std::pair(trained[c], options.train_list), {tested[c], options.test_list}})
            if (count == 0)
                fail("split official: class '{}' has no labelled clips in {}; use a list that covers all classes",
                     clips.classes[c], list.string());
    for (Indices* part : {&split.labelled, &split.unlabelled, &split.test}) std::sort(part->begin(), part->end());
    return split;
}

} // namespace scene
