// A folder per class: CLASS/any/where.wav. The clips in a folder `unlabelled` have no label.

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <unordered_map>

#include "data/audio/audio_files.h"
#include "data/formats/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

/// Refuses an audio file that is in two class folders by a link.
class ClassOfFile {
public:
    void add(const fs::path& file) {
        std::error_code nowhere;
        const fs::path real = fs::canonical(file, nowhere);
        if (nowhere) return;
        const auto [other, fresh] = file_of_.emplace(real.string(), file);
        if (!fresh)
            fail("{} and {} are one file in two class folders; remove one of the two", other->second.string(),
                 file.string());
    }

private:
    std::unordered_map<std::string, fs::path> file_of_;
};

std::vector<std::string> parts_of(const fs::path& path) {
    std::vector<std::string> parts;
    for (const fs::path& part : path) parts.push_back(part.string());
    return parts;
}

std::string quoted(const std::string& name) { return "'" + name + "'"; }

/// Notes audio files beside the class folders, and adds other files there to `left_out`.
void note_loose_files(Dataset& dataset, LeftOut& left_out, const fs::path& folder) {
    std::vector<std::string> loose;
    for (const fs::path& file : files_in(folder)) {
        if (is_audio_name(file))
            loose.push_back(file.filename().string());
        else
            left_out.add_file(file);
    }
    if (loose.empty()) return;
    dataset.notes.push_back(std::to_string(loose.size()) + " audio file" + (loose.size() == 1 ? "" : "s") +
                            " beside the class folders left out (" + listed(loose, 3) +
                            "); put them into the folder of their class or into `unlabelled`");
}

/// Notes that the folders taken for classes may be parts of a dataset, such as `train` and `test`, which hold the class
/// folders.
void note_parts(Dataset& dataset) {
    std::map<std::string, std::set<std::string>> inside; // names of folders in each class folder
    for (const Clip& clip : dataset.clips) {
        const std::vector<std::string> parts = parts_of(clip.name);
        if (parts.size() < 3) return; // audio directly in a class folder
        inside[parts[0]].insert(parts[1]);
    }
    const std::set<std::string>& names = inside.begin()->second;
    const bool alike = std::all_of(inside.begin(), inside.end(), [&](const auto& one) { return one.second == names; });
    if (inside.size() < 2 || names.size() < 2 || !alike) return;
    std::vector<std::string> top;
    for (const auto& [name, folders] : inside) top.push_back(quoted(name));
    std::vector<std::string> below;
    for (const std::string& name : names) below.push_back(quoted(name));
    dataset.notes.push_back("the classes are " + listed(top, 5) + ", which all hold the folders " + listed(below, 5) +
                            "; if those are the classes, prepare each of the former by itself");
}

} // namespace

bool has_class_folders(const fs::path& folder, int at_least) {
    int found = 0;
    for (const fs::path& inside : folders_in(folder)) {
        found += audio_files_below(inside).files.empty() ? 0 : 1;
        if (found >= at_least) return true;
    }
    return false;
}

Dataset read_class_folders(const fs::path& folder, const DatasetOptions& options) {
    if (!options.audio.empty() || !options.columns.empty())
        fail("{}: a folder of class folders takes no --audio and no --column; leave them out", folder.string());
    Dataset dataset;
    dataset.format = "folder";
    dataset.source = folder;
    std::vector<std::string> labels, empty;
    ClassOfFile class_of_file;
    LeftOut left_out;
    for (const fs::path& class_folder : folders_in(folder)) {
        const std::string name = class_folder.filename().string();
        const bool known = std::find(options.classes.begin(), options.classes.end(), name) != options.classes.end();
        const AudioFiles found = audio_files_below(class_folder);
        left_out.add(found.left_out);
        if (found.files.empty()) {
            empty.push_back(quoted(name));
            continue;
        }
        if (!options.classes.empty() && !known && !means_unlabelled(name))
            fail("{}: unknown class folder; known are {}", class_folder.string(), listed(options.classes));
        for (const fs::path& file : found.files) {
            class_of_file.add(file);
            Clip clip;
            clip.name = file.lexically_relative(folder).generic_string();
            clip.file = file;
            dataset.clips.push_back(std::move(clip));
            labels.push_back(means_unlabelled(name) ? "" : name);
        }
    }
    note_loose_files(dataset, left_out, folder);
    if (!left_out.unreadable.empty()) fail("{}", left_out.folders_text());
    if (dataset.clips.empty())
        fail("{}: has no folders with audio; put the clips of each class into a folder of its name{}", folder.string(),
             left_out.by_extension.empty() ? "" : " (" + left_out.files_text() + ")");
    if (!empty.empty())
        dataset.notes.push_back(
            std::to_string(empty.size()) +
            (empty.size() == 1 ? " class folder has no audio: " : " class folders have no audio: ") +
            listed(empty, 10));
    if (!left_out.by_extension.empty()) dataset.notes.push_back(left_out.files_text());
    number_labels(dataset, labels, options.classes);
    note_parts(dataset);
    note_labels(dataset, "the classes are the folders in " + folder.string());
    return dataset;
}

} // namespace scene
