#include "data/audio_container.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"

namespace scene {
namespace {

uint32_t little_endian_32(const char* bytes) {
    uint32_t value = 0;
    for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return value;
}

/// RIFF/WAVE: chunks of an 8-byte head (tag, size) and a body padded to an even size, from byte 12 on.
void require_complete_wav(const std::filesystem::path& file, std::ifstream& in, uint64_t file_bytes) {
    constexpr uint32_t unknown_size = 0xffffffff;
    constexpr int most_chunks = 10000; // zeros over gigabytes are as many empty chunks
    std::array<char, 8> head{};
    uint64_t at = 12;
    for (int chunk = 0; chunk < most_chunks && at + head.size() <= file_bytes; ++chunk) {
        in.seekg(static_cast<std::streamoff>(at));
        if (!in.read(head.data(), head.size())) return;
        const uint32_t size = little_endian_32(head.data() + 4);
        if (std::string_view(head.data(), 4) == "data") {
            const uint64_t held = file_bytes - at - head.size();
            if (size != unknown_size && size > held)
                fail("{}: is cut short: its header promises {} bytes of audio, the file has {}; fetch or export it "
                     "again",
                     file.string(), size, held);
            return;
        }
        at += head.size() + size + size % 2;
    }
}

/// Whether "OggS" there may begin a page (version 0, three flags) or is what compressed audio happens to hold.
bool is_page_head(std::string_view bytes, size_t at) {
    return (at + 4 >= bytes.size() || bytes[at + 4] == 0) &&
           (at + 5 >= bytes.size() || static_cast<uint8_t>(bytes[at + 5]) < 8);
}

size_t last_page(std::string_view tail) {
    size_t at = tail.rfind("OggS");
    while (at != std::string_view::npos && !is_page_head(tail, at))
        at = at == 0 ? std::string_view::npos : tail.rfind("OggS", at - 1);
    return at;
}

/// Ogg: pages of a 27-byte head ("OggS", version, flags, ..., segment count), segment sizes, body. The last page of a
/// stream has flag 4. A page has at most 27 + 255 + 255*255 bytes, so the last one begins within the file's tail.
void require_complete_ogg(const std::filesystem::path& file, std::ifstream& in, uint64_t file_bytes) {
    constexpr uint64_t head_bytes = 27, largest_page = 27 + 255 + 255 * 255;
    const uint64_t tail_bytes = std::min(file_bytes, largest_page);
    std::string tail(tail_bytes, '\0');
    in.seekg(static_cast<std::streamoff>(file_bytes - tail_bytes));
    in.read(tail.data(), static_cast<std::streamsize>(tail_bytes));
    const size_t page = last_page(tail);
    bool complete = false;
    if (page != std::string::npos && page + head_bytes <= tail.size()) {
        const auto flags = static_cast<uint8_t>(tail[page + 5]);
        const auto segments = static_cast<uint8_t>(tail[page + 26]);
        uint64_t end = page + head_bytes + segments;
        for (size_t i = 0; i < segments && page + head_bytes + i < tail.size(); ++i)
            end += static_cast<uint8_t>(tail[page + head_bytes + i]);
        complete = (flags & 4) != 0 && end <= tail.size();
    }
    if (!complete)
        fail("{}: is cut short: its last page does not close the OGG stream; fetch or export it again", file.string());
}

} // namespace

void require_complete_container(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::array<char, 12> start{};
    if (!in.read(start.data(), start.size())) return;
    const uint64_t file_bytes = std::filesystem::file_size(file);
    const std::string_view head(start.data(), start.size());
    if (head.starts_with("RIFF") && head.substr(8) == "WAVE") require_complete_wav(file, in, file_bytes);
    if (head.starts_with("OggS")) require_complete_ogg(file, in, file_bytes);
}

} // namespace scene
