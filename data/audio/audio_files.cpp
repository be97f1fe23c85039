#include "data/audio/audio_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <iterator>
#include <set>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include <sndfile.h>

#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

std::string lower_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// libsndfile's numbers of formats that its older headers do not name.
constexpr int mpeg_container = 0x230000, opus_coding = 0x0064;

/// An extension, the container that libsndfile must support for it, and the coding if it must support that too.
struct Extension {
    std::string_view name;
    int container, coding = 0;
};
/// All formats of libsndfile except `.raw`, which has no header, and `.mat`, which holds any kind of data.
constexpr Extension known_extensions[] = {
    {".wav", SF_FORMAT_WAV},     {".wave", SF_FORMAT_WAV},
    {".bwf", SF_FORMAT_WAV},     {".rf64", SF_FORMAT_RF64},
    {".flac", SF_FORMAT_FLAC},   {".ogg", SF_FORMAT_OGG},
    {".oga", SF_FORMAT_OGG},     {".opus", SF_FORMAT_OGG, opus_coding},
    {".mp3", mpeg_container},    {".mp2", mpeg_container},
    {".mpga", mpeg_container},   {".aif", SF_FORMAT_AIFF},
    {".aiff", SF_FORMAT_AIFF},   {".aifc", SF_FORMAT_AIFF},
    {".au", SF_FORMAT_AU},       {".snd", SF_FORMAT_AU},
    {".w64", SF_FORMAT_W64},     {".caf", SF_FORMAT_CAF},
    {".voc", SF_FORMAT_VOC},     {".sph", SF_FORMAT_NIST},
    {".nist", SF_FORMAT_NIST},   {".sf", SF_FORMAT_IRCAM},
    {".ircam", SF_FORMAT_IRCAM}, {".svx", SF_FORMAT_SVX},
    {".8svx", SF_FORMAT_SVX},    {".iff", SF_FORMAT_SVX},
    {".avr", SF_FORMAT_AVR},     {".pvf", SF_FORMAT_PVF},
    {".paf", SF_FORMAT_PAF},     {".htk", SF_FORMAT_HTK},
    {".sds", SF_FORMAT_SDS},     {".xi", SF_FORMAT_XI},
    {".wve", SF_FORMAT_WVE},
};

/// The formats of one kind (containers or codings) that the installed library was built with.
std::set<int> formats_of_library(int count_command, int list_command) {
    int count = 0;
    sf_command(nullptr, count_command, &count, sizeof count);
    std::set<int> formats;
    for (int i = 0; i < count; ++i) {
        SF_FORMAT_INFO info{};
        info.format = i;
        if (sf_command(nullptr, list_command, &info, sizeof info) == 0) formats.insert(info.format);
    }
    return formats;
}

std::set<std::string, std::less<>> decodable_extensions() {
    const std::set<int> containers = formats_of_library(SFC_GET_FORMAT_MAJOR_COUNT, SFC_GET_FORMAT_MAJOR);
    const std::set<int> codings = formats_of_library(SFC_GET_FORMAT_SUBTYPE_COUNT, SFC_GET_FORMAT_SUBTYPE);
    std::set<std::string, std::less<>> out;
    for (const Extension& one : known_extensions)
        if (containers.contains(one.container) && (one.coding == 0 || codings.contains(one.coding)))
            out.emplace(one.name);
    return out;
}

/// Extensions of audio and video that ffmpeg can convert.
bool is_convertible(std::string_view extension) {
    constexpr std::array<std::string_view, 24> extensions = {
        ".m4a", ".aac", ".mp4",  ".m4b", ".wma", ".webm", ".mka", ".mkv", ".mov", ".avi", ".ape",  ".wv",
        ".amr", ".3gp", ".3gpp", ".tta", ".ac3", ".dts",  ".mpc", ".ra",  ".spx", ".dsf", ".alac", ".m4v"};
    if (std::find(extensions.begin(), extensions.end(), extension) != extensions.end()) return true;
    return std::any_of(std::begin(known_extensions), std::end(known_extensions),
                       [&](const Extension& one) { return one.name == extension; });
}

std::string counted(int64_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

bool is_at_or_above(const fs::path& upper, const fs::path& lower) {
    const auto [end, rest] = std::mismatch(upper.begin(), upper.end(), lower.begin(), lower.end());
    return end == upper.end();
}

/// Walks a folder: real folders first, then the targets of links, so that a path without a link is found first.
class Walk {
public:
    explicit Walk(const fs::path& folder) {
        std::error_code ignored;
        root_ = fs::canonical(folder, ignored);
        enter(folder);
        while (!linked_folders_.empty()) {
            const fs::path link = std::move(linked_folders_.front());
            linked_folders_.pop_front();
            enter(link);
        }
        for (const fs::path& link : linked_files_) {
            std::error_code nowhere;
            const fs::path real = fs::canonical(link, nowhere);
            take(link, nowhere ? link : real); // a dangling link: reading it is an Error
        }
        std::sort(found_.files.begin(), found_.files.end());
    }
    AudioFiles result() && { return std::move(found_); }

private:
    /// Enters a folder unless it has been entered before.
    void enter(const fs::path& folder) {
        std::error_code error;
        const fs::path real = fs::canonical(folder, error);
        if (error) return unreadable(folder);
        if (!entered_.insert(real.native()).second) return;
        std::vector<fs::path> inside;
        for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
            if (is_ignored_name(entry->path())) continue;
            meet(entry->path(), real, inside);
        }
        if (error) unreadable(folder);
        std::sort(inside.begin(), inside.end());
        for (const fs::path& deeper : inside) enter(deeper);
    }

    void meet(const fs::path& path, const fs::path& real_parent, std::vector<fs::path>& inside) {
        std::error_code ignored;
        const bool link = fs::is_symlink(fs::symlink_status(path, ignored));
        const fs::file_status status = fs::status(path, ignored);
        if (fs::is_directory(status)) {
            if (!link)
                inside.push_back(path);
            else if (const fs::path real = fs::canonical(path, ignored);
                     !is_at_or_above(real, real_parent) && !is_at_or_above(real, root_))
                linked_folders_.push_back(path);
        } else if (!is_audio_name(path)) {
            found_.left_out.add_file(path);
        } else if (link) {
            linked_files_.push_back(path);
        } else {
            take(path, real_parent / path.filename());
        }
    }

    void take(const fs::path& file, const fs::path& real) {
        if (taken_.insert(real.native()).second) found_.files.push_back(file);
    }
    void unreadable(const fs::path& folder) { found_.left_out.unreadable.push_back(folder); }

    fs::path root_;
    AudioFiles found_;
    std::deque<fs::path> linked_folders_;
    std::vector<fs::path> linked_files_;
    std::unordered_set<std::string> entered_, taken_;
};

std::vector<fs::path> entries_of(const fs::path& folder, bool folders) {
    std::vector<fs::path> out;
    std::error_code error, ignored;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        if (!is_ignored_name(entry->path()) && entry->is_directory(ignored) == folders) out.push_back(entry->path());
    if (error) fail("{}: cannot be listed ({}); check the path and its permissions", folder.string(), error.message());
    std::sort(out.begin(), out.end());
    return out;
}

} // namespace

bool is_audio_name(const fs::path& file) {
    static const std::set<std::string, std::less<>> extensions = decodable_extensions();
    return extensions.contains(lower_case(file.extension().string()));
}

bool is_ignored_name(const fs::path& file) {
    constexpr std::array<std::string_view, 9> names = {"__macosx",    "thumbs.db",    "ehthumbs.db",
                                                       "desktop.ini", "$recycle.bin", "icon\r",
                                                       "@eadir",      "lost+found",   "system volume information"};
    const std::string name = lower_case(file.filename().string());
    return name.starts_with('.') || name.starts_with("~$") || name.ends_with('~') ||
           (name.starts_with('#') && name.ends_with('#')) || std::find(names.begin(), names.end(), name) != names.end();
}

void LeftOut::add(const LeftOut& other) {
    for (const auto& [extension, count] : other.by_extension) by_extension[extension] += count;
    unreadable.insert(unreadable.end(), other.unreadable.begin(), other.unreadable.end());
}

void LeftOut::add_file(const fs::path& file) { ++by_extension[lower_case(file.extension().string())]; }

std::string LeftOut::files_text() const {
    std::vector<std::pair<std::string, int64_t>> most(by_extension.begin(), by_extension.end());
    std::stable_sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    constexpr size_t shown = 8;
    int64_t total = 0;
    std::string listed, convertible;
    for (size_t i = 0; i < most.size(); ++i) {
        const auto& [extension, count] = most[i];
        total += count;
        if (convertible.empty() && is_convertible(extension)) convertible = extension;
        if (i < shown)
            listed += (i ? ", " : "") + std::to_string(count) + " " +
                      (extension.empty() ? "without an extension" : extension);
    }
    if (total == 0) return "";
    if (most.size() > shown) listed += " and " + counted(static_cast<int64_t>(most.size() - shown), "other kind");
    const std::string what = convertible.empty() ? "no audio" : "no audio that can be decoded";
    const std::string text = counted(total, "file") + (total == 1 ? " is " : " are ") + what +
                             (total == 1 ? " and was" : " and were") + " left out: " + listed;
    return convertible.empty()
               ? text
               : text + "; convert " + convertible + " with `ffmpeg -i clip" + convertible + " clip.wav`";
}

std::string LeftOut::folders_text() const {
    if (unreadable.empty()) return "";
    const auto count = static_cast<int64_t>(unreadable.size());
    return counted(count, "folder") + " cannot be read, first " + unreadable[0].string() + "; check " +
           (count == 1 ? "its" : "their") + " permissions";
}

AudioFiles audio_files_below(const fs::path& folder) { return Walk(folder).result(); }

std::vector<fs::path> folders_in(const fs::path& folder) { return entries_of(folder, true); }

std::vector<fs::path> files_in(const fs::path& folder) { return entries_of(folder, false); }

} // namespace scene
