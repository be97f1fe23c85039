#include "kernels/files/safetensors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>
#include <set>

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/files/crc32c.h"
#include "kernels/files/json.h"

namespace scene {
namespace {

using nlohmann::json;

constexpr uint64_t largest_header = 100'000'000;
constexpr size_t length_bytes = 8;
constexpr size_t data_alignment = 64;
constexpr std::string_view metadata_key = "__metadata__";
constexpr std::string_view checksum_key = "crc32c";
constexpr std::string_view checksum_text = R"("crc32c":")"; ///< the text before the digits in our headers
constexpr std::string_view no_checksum = "00000000";

struct ElementType {
    std::string_view name;
    size_t bytes;
};
constexpr std::array<ElementType, 10> element_types = {{{"F64", 8},
                                                        {"F32", 4},
                                                        {"F16", 2},
                                                        {"BF16", 2},
                                                        {"I64", 8},
                                                        {"I32", 4},
                                                        {"I16", 2},
                                                        {"I8", 1},
                                                        {"U8", 1},
                                                        {"BOOL", 1}}};

[[noreturn]] void fail_cut_short(const std::string& file, const std::string& detail) {
    fail("{}: cut short ({}); copy it again or make it anew", file, detail);
}

[[noreturn]] void fail_corrupted(const std::string& file, const std::string& detail) {
    fail("{}: corrupted ({}); copy it again or make it anew", file, detail);
}

/// A name from a damaged file may be anything: shortens it and escapes it for a one-line error.
std::string printable(const std::string& name) {
    std::string out = json(name.substr(0, 60)).dump(-1, ' ', true, json::error_handler_t::replace);
    return out.substr(1, out.size() - 2);
}

json parse_header(std::string_view text, const std::string& file) {
    std::vector<std::set<std::string>> seen(3);
    std::string repeated;
    bool twice = false;
    const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start && static_cast<size_t>(depth) + 1 < seen.size())
            seen[static_cast<size_t>(depth) + 1].clear();
        if (event == json::parse_event_t::key && static_cast<size_t>(depth) < seen.size() &&
            !seen[static_cast<size_t>(depth)].insert(value.get<std::string>()).second) {
            twice = true;
            repeated = value.get<std::string>();
        }
        return true;
    };
    json header = try_parse_json(text, watch);
    if (twice) fail_corrupted(file, fmt::format("'{}' stands twice in the header", printable(repeated)));
    if (header.is_discarded() || !header.is_object()) fail_corrupted(file, "the header is not a JSON object");
    return header;
}

Metadata parse_metadata(const json& value, const std::string& file) {
    if (!value.is_object()) fail_corrupted(file, "__metadata__ is not an object");
    Metadata metadata;
    for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) fail_corrupted(file, fmt::format("metadata '{}' is not a string", printable(key)));
        metadata[key] = text.get<std::string>();
    }
    return metadata;
}

struct Extent {
    uint64_t begin = 0, end = 0;
};

/// One header entry without its bytes. Checks that its shape, type and offsets are consistent.
SafetensorsEntry parse_entry(const std::string& name, const json& value, Extent& extent, const std::string& file) {
    const auto corrupted = [&](std::string_view detail) {
        fail_corrupted(file, fmt::format("tensor '{}' {}", printable(name), detail));
    };
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets"))
        corrupted("lacks dtype, shape or data_offsets");
    const json &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
    SafetensorsEntry entry;
    entry.name = name;
    if (!dtype.is_string() || safetensors_element_bytes(dtype.get<std::string>()) == 0)
        corrupted("has an unknown dtype");
    entry.dtype = dtype.get<std::string>();
    if (!shape.is_array()) corrupted("has a shape that is not a list");
    uint64_t bytes = safetensors_element_bytes(entry.dtype);
    bool overflow = false, empty = false;
    for (const json& axis : shape) {
        if (!axis.is_number_unsigned() || axis.get<uint64_t>() > INT64_MAX) corrupted("has an impossible shape");
        const uint64_t size = axis.get<uint64_t>();
        empty = empty || size == 0;
        overflow = __builtin_mul_overflow(bytes, std::max<uint64_t>(size, 1), &bytes) || overflow;
        entry.shape.push_back(static_cast<int64_t>(size));
    }
    if (empty) bytes = 0;
    if (!empty && overflow) corrupted("has an impossible shape");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
        corrupted("has impossible offsets");
    extent = {offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
    if (extent.begin > extent.end || extent.end - extent.begin != bytes)
        corrupted("has offsets that do not agree with its shape");
    return entry;
}

/// If the metadata has a checksum, compares it with that of the file and removes it from the metadata.
void verify_checksum(Metadata& metadata, std::span<const std::byte> bytes, size_t header_end, const std::string& file) {
    const auto stored = metadata.find(std::string(checksum_key));
    if (stored == metadata.end()) return;
    std::string header(reinterpret_cast<const char*>(bytes.data()), header_end);
    const size_t digits = header.find(std::string(checksum_text) + stored->second + '"');
    if (stored->second.size() != no_checksum.size() || digits == std::string::npos)
        fail_corrupted(file, "its checksum is damaged");
    header.replace(digits + checksum_text.size(), no_checksum.size(), no_checksum);
    const uint32_t of_header = crc32c(header.data(), header.size());
    const uint32_t found = crc32c(bytes.data() + header_end, bytes.size() - header_end, of_header);
    if (fmt::format("{:08x}", found) != stored->second) fail_corrupted(file, "its checksum does not agree");
    metadata.erase(stored);
}

} // namespace

size_t safetensors_element_bytes(std::string_view dtype) {
    for (const ElementType& type : element_types)
        if (type.name == dtype) return type.bytes;
    return 0;
}

int64_t SafetensorsEntry::elements() const {
    return static_cast<int64_t>(bytes.size() / safetensors_element_bytes(dtype));
}

std::string SafetensorsEntry::description() const { return fmt::format("{} [{}]", dtype, fmt::join(shape, ", ")); }

SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& file) {
    if (bytes.size() < length_bytes) fail_cut_short(file, fmt::format("{} bytes", bytes.size()));
    uint64_t header_bytes = 0;
    for (size_t i = 0; i < length_bytes; ++i) header_bytes |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    const char* text = reinterpret_cast<const char*>(bytes.data()) + length_bytes;
    const size_t rest = bytes.size() - length_bytes;
    if (header_bytes > largest_header || header_bytes < 2 || (rest > 0 && *text != '{'))
        fail("{}: not a safetensors file (or a corrupted one); name another file or make it anew", file);
    if (header_bytes > rest) fail_cut_short(file, fmt::format("{} of {} header bytes", rest, header_bytes));

    const json header = parse_header({text, header_bytes}, file);
    SafetensorsContent content;
    std::vector<Extent> extents;
    for (const auto& [name, value] : header.items()) {
        if (name == metadata_key) {
            content.metadata = parse_metadata(value, file);
            continue;
        }
        Extent extent;
        content.entries.push_back(parse_entry(name, value, extent, file));
        extents.push_back(extent);
    }

    std::vector<size_t> order(extents.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return std::tuple(extents[a].begin, extents[a].end, a) < std::tuple(extents[b].begin, extents[b].end, b);
    });
    const std::span<const std::byte> data = bytes.subspan(length_bytes + header_bytes);
    std::vector<SafetensorsEntry> sorted;
    uint64_t end = 0;
    for (size_t i : order) {
        SafetensorsEntry& entry = content.entries[i];
        if (extents[i].begin != end)
            fail_corrupted(file, fmt::format("tensor '{}' begins at {}, the one before ends at {}",
                                             printable(entry.name), extents[i].begin, end));
        end = extents[i].end;
        if (end > data.size())
            fail_cut_short(file,
                           fmt::format("tensor '{}' ends at byte {} of {}", printable(entry.name), end, data.size()));
        entry.bytes = data.subspan(extents[i].begin, end - extents[i].begin);
        sorted.push_back(std::move(entry));
    }
    if (end != data.size()) fail_corrupted(file, fmt::format("{} bytes after the last tensor", data.size() - end));
    content.entries = std::move(sorted);
    verify_checksum(content.metadata, bytes, length_bytes + header_bytes, file);
    return content;
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)) {
    const std::string name = path_.string();
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) fail("{}: there is no such file; check the path", name);
    if (descriptor < 0) fail("{}: cannot be opened ({}); check its permissions", name, std::strerror(errno));
    struct stat status {};
    const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    size_ = regular ? static_cast<size_t>(status.st_size) : 0;
    memory_ = size_ > 0 ? ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0) : nullptr;
    const int error = errno;
    ::close(descriptor);
    if (!regular) fail("{}: not a regular file; name a safetensors file", name);
    if (memory_ == MAP_FAILED) {
        memory_ = nullptr;
        fail("{}: cannot be mapped ({}); free some memory and try again", name, std::strerror(error));
    }
    try {
        SafetensorsContent content = parse_safetensors({static_cast<const std::byte*>(memory_), size_}, name);
        metadata_ = std::move(content.metadata);
        entries_ = std::move(content.entries);
        for (size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].name] = i;
    } catch (...) {
        if (memory_) ::munmap(memory_, size_);
        throw;
    }
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)), memory_(std::exchange(other.memory_, nullptr)), size_(other.size_),
      metadata_(std::move(other.metadata_)), entries_(std::move(other.entries_)), index_(std::move(other.index_)) {}

SafetensorsFile::~SafetensorsFile() {
    if (memory_) ::munmap(memory_, size_);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &entries_[found->second];
}

const SafetensorsEntry& SafetensorsFile::tensor(std::string_view name) const {
    const SafetensorsEntry* entry = find(name);
    if (!entry) fail("{}: has no tensor '{}'; name another file or make it anew", path_.string(), name);
    return *entry;
}

const std::string& SafetensorsFile::metadata(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end())
        fail("{}: has no metadata '{}'; name another file or make it anew", path_.string(), key);
    return found->second;
}

size_t SafetensorsDeclaration::bytes() const {
    size_t total = safetensors_element_bytes(dtype);
    for (int64_t size : shape) total *= static_cast<size_t>(size);
    return total;
}

std::string safetensors_header(const Metadata& metadata, const std::vector<SafetensorsDeclaration>& tensors,
                               size_t minimum) {
    nlohmann::ordered_json header;
    header[std::string(metadata_key)] = metadata;
    header[std::string(metadata_key)][std::string(checksum_key)] = no_checksum;
    size_t offset = 0;
    for (const SafetensorsDeclaration& tensor : tensors) {
        const size_t element = safetensors_element_bytes(tensor.dtype);
        SCENE_CHECK(element > 0, "unknown dtype " + tensor.dtype);
        SCENE_CHECK(!header.contains(tensor.name), "tensor '" + tensor.name + "' is declared twice");
        SCENE_CHECK(offset % element == 0, "tensor '" + tensor.name + "' is not aligned; declare wider types first");
        header[tensor.name] = {
            {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.bytes()}}};
        offset += tensor.bytes();
    }
    std::string text = json_line(header);
    size_t total = std::max(length_bytes + text.size(), minimum);
    total = (total + data_alignment - 1) / data_alignment * data_alignment;
    text.resize(total - length_bytes, ' ');
    SCENE_CHECK(text.size() <= largest_header, "a safetensors header has at most 100,000,000 bytes");
    std::string out;
    for (size_t i = 0; i < length_bytes; ++i) out.push_back(static_cast<char>(text.size() >> (8 * i)));
    return out + text;
}

void set_safetensors_checksum(std::string& header, uint32_t checksum) {
    const size_t digits = header.find(std::string(checksum_text) + std::string(no_checksum));
    SCENE_CHECK(digits != std::string::npos, "a header of safetensors_header");
    header.replace(digits + checksum_text.size(), no_checksum.size(), fmt::format("{:08x}", checksum));
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, Metadata metadata)
    : file_(path), metadata_(std::move(metadata)) {}

void SafetensorsWriter::declare(std::string name, std::string_view dtype, std::vector<int64_t> shape) {
    SCENE_CHECK(header_.empty(), "every tensor is declared before the first write");
    tensors_.push_back({std::move(name), std::string(dtype), std::move(shape)});
    expected_ += tensors_.back().bytes();
}

void SafetensorsWriter::begin() {
    if (!header_.empty()) return;
    header_ = safetensors_header(metadata_, tensors_);
    checksum_ = crc32c(header_.data(), header_.size());
    file_.write(header_);
}

void SafetensorsWriter::write(const void* data, size_t bytes) {
    begin();
    SCENE_CHECK(bytes <= expected_ - written_, "more bytes than were declared");
    file_.write(data, bytes);
    checksum_ = crc32c(data, bytes, checksum_);
    written_ += bytes;
}

void SafetensorsWriter::commit() {
    begin();
    SCENE_CHECK(written_ == expected_, fmt::format("{} of {} declared bytes were written", written_, expected_));
    set_safetensors_checksum(header_, checksum_);
    file_.write_over(0, header_);
    file_.commit();
}

} // namespace scene
