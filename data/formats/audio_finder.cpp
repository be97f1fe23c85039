#include "data/formats/audio_finder.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "data/audio/audio_files.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> parts_of(const fs::path& path) {
    std::vector<std::string> parts;
    for (const fs::path& part : path.lexically_normal().relative_path()) parts.push_back(part.string());
    return parts;
}

size_t common_end(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return static_cast<size_t>(std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first - a.rbegin());
}

} // namespace

fs::path portable_path(const std::string& cell) {
    std::string path = cell;
    std::replace(path.begin(), path.end(), '\\', '/');
    const bool has_drive = path.size() > 2 && std::isalpha(static_cast<unsigned char>(path[0])) && path[1] == ':';
    return has_drive && path[2] == '/' ? path.substr(2) : path;
}

AudioFinder::AudioFinder(const CsvTable& table, const DatasetOptions& options)
    : beside_(fs::path(table.name).parent_path()), audio_(options.audio) {}

fs::path AudioFinder::find(const std::string& cell, const std::string& place) {
    const fs::path portable = portable_path(cell);
    std::vector<fs::path> places;
    for (const fs::path& named : {fs::path(cell), portable}) {
        if (named.is_absolute())
            places.push_back(named);
        else if (!audio_.empty())
            places.push_back(audio_ / named);
        else
            for (const fs::path& folder : {beside_, beside_ / "audio", beside_ / "..", beside_ / ".." / "audio"})
                places.push_back(folder / named);
    }
    std::error_code ignored;
    for (const fs::path& there : places)
        if (fs::is_regular_file(there, ignored)) return there.lexically_normal();
    return audio_.empty() ? fs::path() : below_audio(portable, place);
}

fs::path AudioFinder::below_audio(const fs::path& cell, const std::string& place) {
    const std::vector<std::string> wanted = parts_of(cell);
    if (wanted.empty()) return {};
    const Candidate *best = nullptr, *rival = nullptr;
    size_t longest = 0;
    for (const Candidate& one : candidates(wanted.back())) {
        const size_t length = common_end(one.parts, wanted);
        const bool means_it = length == one.parts.size() || length == wanted.size();
        if (!means_it || length < longest) continue;
        rival = length == longest ? best : nullptr;
        best = &one;
        longest = length;
    }
    if (rival)
        fail("{}: '{}' may be {} or {}; write more of its path, or keep one of them", place, cell.string(),
             rival->file.string(), best->file.string());
    return best ? best->file : fs::path();
}

fs::path AudioFinder::namesake(const std::string& cell) {
    const std::vector<std::string> wanted = parts_of(portable_path(cell));
    if (audio_.empty() || wanted.empty() || candidates(wanted.back()).empty()) return {};
    return candidates(wanted.back()).front().file;
}

const std::vector<AudioFinder::Candidate>& AudioFinder::candidates(const std::string& name) {
    if (!by_name_) {
        by_name_.emplace();
        for (const fs::path& file : audio_files_below(audio_).files) {
            const fs::path relative = file.lexically_relative(audio_);
            (*by_name_)[relative.filename().string()].push_back({file, parts_of(relative)});
        }
    }
    return (*by_name_)[name];
}

} // namespace scene
