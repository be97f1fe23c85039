// A folder per class: CLASS/any/where.wav. The clips in a folder `unlabelled` have no label.

#include <algorithm>

#include "data/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

std::vector<fs::path> sorted_folders(const fs::path& folder) {
    std::vector<fs::path> folders;
    std::error_code error, ignored;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        if (entry->is_directory(ignored) && !is_hidden(entry->path())) folders.push_back(entry->path());
    if (error) fail("{}: cannot be listed ({}); check the path and its permissions", folder.string(), error.message());
    std::sort(folders.begin(), folders.end());
    return folders;
}

std::vector<fs::path> sorted_audio(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error, ignored;
    for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        if (is_audio_name(entry->path()) && !is_hidden(entry->path()) && entry->is_regular_file(ignored))
            files.push_back(entry->path());
    if (error) fail("{}: cannot be listed ({}); check the path and its permissions", folder.string(), error.message());
    std::sort(files.begin(), files.end());
    return files;
}

bool means_unlabelled(const std::string& name) { return name == "unlabelled" || name == "unlabeled"; }

} // namespace

bool has_class_folders(const fs::path& folder) {
    const std::vector<fs::path> folders = sorted_folders(folder);
    return std::any_of(folders.begin(), folders.end(), [](const fs::path& f) { return !sorted_audio(f).empty(); });
}

Dataset read_class_folders(const fs::path& folder, const DatasetOptions& options) {
    Dataset dataset;
    dataset.format = "folder";
    dataset.source = folder;
    std::vector<std::string> labels;
    for (const fs::path& class_folder : sorted_folders(folder)) {
        const std::string name = class_folder.filename().string();
        const bool known = std::find(options.classes.begin(), options.classes.end(), name) != options.classes.end();
        if (!options.classes.empty() && !known && !means_unlabelled(name))
            fail("{}: unknown class folder; known are {}", class_folder.string(), listed(options.classes));
        const std::vector<fs::path> files = sorted_audio(class_folder);
        if (files.empty())
            fail("{}: has no .wav, .flac or .ogg file; put some in or remove the folder", class_folder.string());
        for (const fs::path& file : files) {
            Clip clip;
            clip.name = file.lexically_relative(folder).generic_string();
            clip.file = file;
            dataset.clips.push_back(std::move(clip));
            labels.push_back(means_unlabelled(name) ? "" : name);
        }
    }
    if (dataset.clips.empty())
        fail("{}: has no folders with audio; put the clips of each class into a folder of its name", folder.string());
    number_labels(dataset, labels, options.classes);
    return dataset;
}

} // namespace scene
