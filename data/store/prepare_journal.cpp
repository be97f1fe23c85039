#include "data/store/prepare_journal.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/crc32c.h"
#include "kernels/files/json.h"

namespace scene {
namespace {

using nlohmann::json;

std::string checksum_of(const std::string& text) { return fmt::format("{:08x}", crc32c(text.data(), text.size())); }

/// Reads one line with a correct checksum at `at` and moves `at` behind it; false if there is none.
bool take_line(const std::string& text, size_t& at, std::string& line) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos || end - at < 9 || text[at + 8] != ' ') return false;
    line = text.substr(at + 9, end - at - 9);
    if (text.substr(at, 8) != checksum_of(line)) return false;
    at = end + 1;
    return true;
}

/// The record of this chunk, whose clips are `first` to `end` - 1; nullopt if the line is anything else.
std::optional<ChunkRecord> parse_record(const std::string& line, int64_t chunk, int64_t first, int64_t end) {
    const auto clip = [&](const json& value) {
        const auto number = whole_number<int64_t>(value);
        if (number < first || number >= end) throw std::out_of_range("a clip of another chunk");
        return number;
    };
    try {
        const json value = parse_json(line);
        ChunkRecord record;
        record.chunk = whole_number<int64_t>(value.at("chunk"));
        if (record.chunk != chunk || first >= end) return {};
        for (const json& bad : value.at("bad")) record.bad.emplace_back(clip(bad.at(0)), bad.at(1).get<std::string>());
        for (const json& silent : value.at("silent")) record.silent.push_back(clip(silent));
        // Earlier versions did not note these.
        for (const json& longer : value.value("longer", json::array())) record.longer.push_back(clip(longer));
        for (const json& early : value.value("ends_early", json::array())) record.ends_early.push_back(clip(early));
        return record;
    } catch (const std::exception&) { return {}; }
}

} // namespace

PrepareJournal::PrepareJournal(const std::filesystem::path& file, const std::string& fingerprint, int64_t clips,
                               int64_t chunk_clips)
    : file_(file), fingerprint_(fingerprint) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::string line;
    size_t at = 0;
    const bool ours = take_line(text, at, line) && line == fingerprint;
    for (size_t next = at; ours && take_line(text, next, line); at = next) {
        const auto chunk = static_cast<int64_t>(records_.size());
        const int64_t first = chunk * chunk_clips, end = std::min(first + chunk_clips, clips);
        std::optional<ChunkRecord> record = parse_record(line, chunk, first, end);
        if (!record) break;
        records_.push_back(std::move(*record));
    }
    started_anew_ = !ours && !text.empty();
    descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_write(file, errno);
    size_ = static_cast<int64_t>(at);
    if (!ours)
        clear();
    else if (::ftruncate(descriptor_, size_) != 0)
        fail_write(file, errno);
}

PrepareJournal::~PrepareJournal() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void PrepareJournal::clear() {
    records_.clear();
    size_ = 0;
    if (::ftruncate(descriptor_, 0) != 0) fail_write(file_, errno);
    append_line(fingerprint_);
}

void PrepareJournal::append(const ChunkRecord& record) {
    const json line{{"chunk", record.chunk},
                    {"bad", record.bad},
                    {"silent", record.silent},
                    {"longer", record.longer},
                    {"ends_early", record.ends_early}};
    append_line(json_line(line));
    records_.push_back(record);
}

void PrepareJournal::append_line(const std::string& text) {
    const std::string line = checksum_of(text) + " " + text + "\n";
    write_at(descriptor_, line.data(), line.size(), size_, file_);
    if (::fdatasync(descriptor_) != 0) fail_write(file_, errno);
    size_ += static_cast<int64_t>(line.size());
}

} // namespace scene
