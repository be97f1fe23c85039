#include "data/audio/mpeg_audio.h"

#include <algorithm>
#include <array>
#include <optional>

namespace scene {
namespace {

constexpr uint64_t header_bytes = 4, searched_bytes = 1 << 16;

std::string big_endian_32(uint64_t value) {
    std::string out;
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(value >> shift & 0xff));
    return out;
}

/// An MPEG frame, from its four-byte header.
struct Frame {
    uint64_t bytes = 0;
    uint64_t side_info = 0; ///< bytes between the header and the name of an index
    uint32_t kind = 0;      ///< version, layer and rate: the same in all frames of a file
};

std::optional<Frame> frame_at(const FileBytes& file, uint64_t at) {
    // kbit/s: [MPEG-1: layer 1, 2, 3; MPEG-2: layer 1, 2 and 3]
    static constexpr std::array<std::array<int, 15>, 5> bit_rates = {
        {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
         {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
         {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
         {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
         {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};
    static constexpr std::array<int, 3> rates = {44100, 48000, 32000};
    const auto header = static_cast<uint32_t>(file.number(at, header_bytes, true));
    const uint32_t version = header >> 19 & 3, layer = 4 - (header >> 17 & 3);
    const uint32_t bit_rate = header >> 12 & 15, rate = header >> 10 & 3;
    const bool valid =
        header >> 21 == 0x7ff && version != 1 && layer != 4 && bit_rate != 0 && bit_rate != 15 && rate != 3;
    if (!valid) return {};
    const bool first_version = version == 3, mono = (header >> 6 & 3) == 3;
    const size_t table = first_version ? layer - 1 : layer == 1 ? 3 : 4;
    const auto hz = static_cast<uint64_t>(rates[rate] / (first_version ? 1 : version == 2 ? 2 : 4));
    const auto bits = static_cast<uint64_t>(bit_rates[table][bit_rate]) * 1000, padding = uint64_t{header >> 9 & 1};
    Frame frame;
    frame.kind = header & 0xfffe0c00;
    frame.bytes =
        layer == 1 ? (12 * bits / hz + padding) * 4 : (layer == 3 && !first_version ? 72 : 144) * bits / hz + padding;
    frame.side_info = first_version ? (mono ? 17 : 32) : (mono ? 9 : 17);
    return frame;
}

/// The offset after the ID3v2 tags at `at`.
uint64_t after_tags(const FileBytes& file, uint64_t at) {
    constexpr int most_tags = 8;
    for (int tag = 0; tag < most_tags && file.text(at, 3) == "ID3"; ++tag) {
        uint64_t size = 0; // four times seven bits
        for (uint64_t i = 0; i < 4; ++i) size = size << 7 | (file.number(at + 6 + i, 1, true) & 127);
        const bool footer = (file.number(at + 5, 1, true) & 16) != 0;
        at += 10 + size + (footer ? 10 : 0);
    }
    return at;
}

/// Offset of the first frame that another one of its kind follows.
std::optional<uint64_t> first_frame(const FileBytes& file, uint64_t at) {
    at = after_tags(file, at);
    const std::string bytes = file.text(at, searched_bytes);
    for (size_t i = bytes.find('\xff'); i != std::string::npos; i = bytes.find('\xff', i + 1)) {
        const std::optional<Frame> frame = frame_at(file, at + i);
        const std::optional<Frame> next = frame ? frame_at(file, at + i + frame->bytes) : frame;
        if (next && next->kind == frame->kind) return at + i;
    }
    return {};
}

/// The number of frames in the index that the frame holds, 0 if it does not say; nullopt if it holds no index. Patches
/// the number of bytes in the index to that of the view, because the decoder prints a warning where they differ.
std::optional<uint64_t> indexed_frames(const FileBytes& file, uint64_t at, const Frame& frame, AudioView& view) {
    const uint64_t name = at + header_bytes + frame.side_info;
    const std::string text = file.text(name, 4);
    const uint64_t flags = file.number(name + 4, 4, true), there = view.end - at;
    if ((text == "Xing" || text == "Info") && (flags & 3) == 3 && there <= 0xffffffff)
        view.patches.push_back({name + 12, big_endian_32(there)});
    if (text == "Xing" || text == "Info") return (flags & 1) != 0 ? file.number(name + 8, 4, true) : 0;
    constexpr uint64_t vbri = 32;
    if (file.text(at + header_bytes + vbri, 4) == "VBRI") return file.number(at + header_bytes + vbri + 14, 4, true);
    return {};
}

} // namespace

bool is_mpeg_audio(const FileBytes& file, uint64_t at) {
    return (file.text(at, 3) == "ID3" || frame_at(file, at)) && first_frame(file, at).has_value();
}

void show_mpeg_index(const FileBytes& file, AudioView& view) {
    std::optional<uint64_t> first = first_frame(file, view.begin);
    if (!first) return;
    Frame frame = *frame_at(file, *first);
    const std::optional<uint64_t> indexed = indexed_frames(file, *first, frame, view);
    constexpr uint64_t unknown = 0xffffffff;
    if (indexed.value_or(0) != 0 && *indexed != unknown) return;
    if (indexed) { // an index without a number of frames
        *first += frame.bytes;
        const std::optional<Frame> second = frame_at(file, *first);
        if (!second) return;
        frame = *second;
    }
    constexpr uint64_t smallest_frame = 24, index_bytes = 12, most_frames = 0x7fffffff;
    const uint64_t frames = std::min((view.end - *first) / smallest_frame + 1, most_frames);
    if (frame.bytes < header_bytes + frame.side_info + index_bytes) return;
    view.begin = *first;
    view.head = file.text(*first, header_bytes);
    view.head[1] = static_cast<char>(view.head[1] | 1); // without a checksum
    view.head.resize(frame.bytes, '\0');
    const std::string index = std::string("Xing\0\0\0\x01", 8) + big_endian_32(frames);
    view.head.replace(header_bytes + frame.side_info, index.size(), index);
    view.counts_samples = false;
}

} // namespace scene
