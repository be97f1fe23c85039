#include "kernels/cuda/autotune/plan_cache.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"

namespace scene::cuda {
namespace {

double rounded(double number) { return std::round(10 * number) / 10; }

/// Whether all of `text` is a number that a file may have.
template <typename Number> bool read_number(std::string_view text, Number& number) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && stop == text.data() + text.size() && number >= 0;
}

constexpr std::string_view first_line =
    "scene convolution plans, version 3: problem, choice, microseconds, left out, within seconds";

/// A temporary folder that only this user can access: whoever can write to it chooses the plans.
std::filesystem::path private_temporary_folder() {
    std::error_code failed;
    const std::filesystem::path temporary = std::filesystem::temp_directory_path(failed);
    if (failed) return {};
    const std::filesystem::path folder = temporary / fmt::format("scene-{}", geteuid());
    (void)mkdir(folder.c_str(), 0700);
    struct stat found {};
    if (lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return {};
    return found.st_uid == geteuid() && (found.st_mode & 0077) == 0 ? folder : std::filesystem::path();
}

} // namespace

PlanCache::PlanCache(std::filesystem::path file) : file_(std::move(file)), entries_(read()) {}

std::map<std::string, PlanCache::Entry> PlanCache::read() const {
    std::ifstream stream(file_);
    std::string line;
    if (!std::getline(stream, line) || line != first_line) return {};
    std::map<std::string, Entry> entries;
    while (std::getline(stream, line)) {
        if (stream.eof()) return {}; // the last line is incomplete
        std::vector<std::string_view> fields;
        for (size_t at = 0; at <= line.size();) {
            const size_t end = std::min(line.find('\t', at), line.size());
            fields.push_back(std::string_view(line).substr(at, end - at));
            at = end + 1;
        }
        if (fields.size() != 5 || fields[1].empty()) return {};
        Entry entry{.choice = std::string(fields[1])};
        if (!read_number(fields[2], entry.microseconds) || !read_number(fields[3], entry.left_out) ||
            !read_number(fields[4], entry.budget_seconds))
            return {};
        entry.microseconds = rounded(entry.microseconds);
        entry.budget_seconds = rounded(entry.budget_seconds);
        if (!std::isfinite(entry.microseconds) || !std::isfinite(entry.budget_seconds)) return {};
        entries[std::string(fields[0])] = entry;
    }
    return entries;
}

std::optional<PlanCache::Entry> PlanCache::find(const std::string& problem) const {
    const auto found = entries_.find(problem);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
}

void PlanCache::add(const std::string& problem, const std::string& choice, double microseconds, int left_out,
                    double budget_seconds) {
    for (const auto& [known, entry] : read()) entries_.try_emplace(known, entry); // another process's
    // Rounded as the file has it, so that the next process decides on the same numbers.
    entries_[problem] = {choice, rounded(microseconds), left_out, rounded(budget_seconds)};
    if (file_.empty()) return;
    try {
        write();
        write_failure_.clear();
    } catch (const std::exception& error) {
        // Without a file the next process measures again, nothing else.
        write_failure_ = error.what();
    }
}

std::string PlanCache::place() const {
    if (file_.empty()) return "in this process only; with HOME or XDG_CACHE_HOME they would be kept";
    return write_failure_.empty() ? file_.string() : "in this process only: " + write_failure_;
}

void PlanCache::write() const {
    std::filesystem::create_directories(file_.parent_path());
    std::string text = fmt::format("{}\n", first_line);
    for (const auto& [problem, entry] : entries_)
        text += fmt::format("{}\t{}\t{:.1f}\t{}\t{:.1f}\n", problem, entry.choice, entry.microseconds, entry.left_out,
                            entry.budget_seconds);
    write_file(file_, text);
}

std::filesystem::path PlanCache::folder() {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value ? value : "");
    };
    if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
        return std::filesystem::path(cache) / "scene";
    if (const std::string home = variable("HOME"); !home.empty())
        return std::filesystem::path(home) / ".cache" / "scene";
    return private_temporary_folder();
}

std::filesystem::path PlanCache::file_for(const std::string& device, const std::string& cudnn_version) {
    const std::filesystem::path where = folder();
    if (where.empty()) return {};
    std::string name = device + "-cudnn-" + cudnn_version + ".plans";
    for (char& letter : name)
        if (!std::isalnum(static_cast<unsigned char>(letter)) && letter != '.') letter = '-';
    return where / name;
}

} // namespace scene::cuda
