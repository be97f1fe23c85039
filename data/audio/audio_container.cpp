#include "data/audio/audio_container.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "data/audio/mpeg_audio.h"

namespace scene {
namespace {

constexpr uint64_t longest_size_32 = 0xffffffff;

/// A container of chunks: each has a tag, a size and a body that is padded to a multiple of `align`.
struct ChunkLayout {
    uint64_t first = 12; ///< where the first chunk begins
    uint64_t tag_bytes = 4;
    int size_bytes = 4;
    bool big_endian = false;
    bool counts_head = false; ///< the size includes tag and size
    uint64_t align = 2;
    std::string_view samples = "data";
    uint64_t preface = 0;          ///< bytes before the samples in their chunk
    bool unknown_is_legal = false; ///< all ones mean "to the end of the file"

    uint64_t head_bytes() const { return tag_bytes + static_cast<uint64_t>(size_bytes); }
};

struct Chunk {
    std::string tag;
    uint64_t body = 0, size = 0;
};

std::string bytes_of(uint64_t value, int count, bool big_endian) {
    std::string out;
    for (int i = 0; i < count; ++i)
        out.push_back(static_cast<char>(value >> (8 * (big_endian ? count - 1 - i : i)) & 0xff));
    return out;
}

Chunk chunk_at(const FileBytes& file, const ChunkLayout& layout, uint64_t at) {
    Chunk chunk{file.text(at, 4), at + layout.head_bytes(),
                file.number(at + layout.tag_bytes, layout.size_bytes, layout.big_endian)};
    if (layout.counts_head) chunk.size -= std::min(chunk.size, layout.head_bytes());
    return chunk;
}

uint64_t padded(uint64_t bytes, uint64_t align) { return (bytes + align - 1) / align * align; }

/// Whether the file consists of whole chunks from `at` on. The last one's padding may be missing.
bool are_chunks(const FileBytes& file, const ChunkLayout& layout, uint64_t at) {
    constexpr int most_chunks = 1000;
    for (int i = 0; i < most_chunks; ++i) {
        if (at == file.size() || at == file.size() + 1) return true;
        if (at + layout.head_bytes() > file.size()) return false;
        const Chunk chunk = chunk_at(file, layout, at);
        const bool printable = std::all_of(chunk.tag.begin(), chunk.tag.end(), [](char c) { return c >= 32; });
        if (!printable || chunk.size > file.size() - chunk.body) return false;
        at = chunk.body + padded(chunk.size, layout.align);
    }
    return false;
}

/// Offset of the chunks after the samples, where the samples' size is unknown: searched for in the last 64 KiB. The
/// file's size if there are none.
uint64_t end_of_samples(const FileBytes& file, const ChunkLayout& layout, uint64_t begin) {
    static constexpr std::array<std::string_view, 20> usual = {"LIST", "id3 ", "ID3 ", "bext", "cue ", "fact", "PEAK",
                                                               "afsp", "iXML", "JUNK", "junk", "smpl", "inst", "acid",
                                                               "_PMX", "NAME", "ANNO", "info", "uuid", "free"};
    constexpr uint64_t tail_bytes = 1 << 16;
    const uint64_t from = std::max(begin, file.size() - std::min(file.size(), tail_bytes));
    const std::string tail = file.text(from, tail_bytes);
    for (size_t i = 0; i + 4 <= tail.size(); ++i)
        if (std::find(usual.begin(), usual.end(), std::string_view(tail).substr(i, 4)) != usual.end() &&
            are_chunks(file, layout, from + i))
            return from + i;
    return file.size();
}

bool is_stream_size(uint64_t size, int bytes) {
    constexpr uint64_t nearly_2_gib = 0x7f000000, terabyte = uint64_t{1} << 40;
    if (size == 0 || (bytes == 4 && size >= nearly_2_gib) || size >= terabyte) return true;
    // a 32-bit placeholder of an unknown size, written to 64 bits
    constexpr uint64_t around = 1 << 20, marks[] = {uint64_t{1} << 31, uint64_t{1} << 32};
    return std::any_of(std::begin(marks), std::end(marks),
                       [&](uint64_t mark) { return size + around >= mark && size <= mark + around; });
}

/// Patches the samples' size where the header is wrong. `sizes`: offsets of all fields with that size. `whole_at`:
/// offset of the field with the size of the file; 0: none.
void mend_size(const FileBytes& file, const ChunkLayout& layout, AudioView& view, uint64_t begin, uint64_t promised,
               const std::vector<uint64_t>& sizes, uint64_t whole_at) {
    const uint64_t held = file.size() - std::min(begin, file.size());
    if (promised <= layout.preface) promised = 0;
    const auto chunks_follow = [&](uint64_t size) { return are_chunks(file, layout, begin + size); };
    if (promised <= held && (chunks_follow(padded(promised, layout.align)) || chunks_follow(promised))) return;
    if (promised == 0 && held <= layout.preface) return;
    const uint64_t there = end_of_samples(file, layout, begin) - begin;
    if (promised != 0 && promised <= there) return; // something unknown follows the samples
    const uint64_t all_ones = layout.size_bytes == 8 ? ~uint64_t{0} : longest_size_32;
    const uint64_t written = layout.counts_head ? promised + layout.head_bytes() : promised;
    view.streamed = is_stream_size(promised, layout.size_bytes) || is_stream_size(written, layout.size_bytes);
    view.ends_early = !(layout.unknown_is_legal && promised == all_ones);
    view.promised_share = static_cast<double>(promised) / static_cast<double>(std::max<uint64_t>(there, 1));
    const uint64_t size = layout.counts_head ? there + layout.head_bytes() : there;
    const uint64_t largest = layout.size_bytes == 8 ? ~uint64_t{0} : longest_size_32;
    for (uint64_t at : sizes)
        view.patches.push_back({at, bytes_of(std::min(size, largest), layout.size_bytes, layout.big_endian)});
    const uint64_t whole = layout.counts_head ? file.size() : file.size() - 8;
    if (whole_at != 0)
        view.patches.push_back({whole_at, bytes_of(std::min(whole, largest), layout.size_bytes, layout.big_endian)});
}

void view_chunks(const FileBytes& file, ChunkLayout layout, AudioView& view, uint64_t whole_at) {
    constexpr int most_chunks = 10000; // gigabytes of zeros look like millions of empty chunks
    constexpr uint64_t mp3 = 0x55;
    uint64_t at = layout.first, format = 0, frames_at = 0;
    std::optional<Chunk> sizes_64;
    for (int i = 0; i < most_chunks && at + layout.head_bytes() <= file.size(); ++i) {
        const Chunk chunk = chunk_at(file, layout, at);
        if (chunk.tag == "ds64" && chunk.size >= 24) sizes_64 = chunk;
        if (chunk.tag == "fmt ") format = file.number(chunk.body, 2, layout.big_endian);
        if (chunk.tag == "COMM" && chunk.size >= 18) frames_at = chunk.body + 2;
        if (chunk.tag == layout.samples) {
            uint64_t promised = chunk.size;
            std::vector<uint64_t> sizes{at + layout.tag_bytes};
            if (sizes_64 && promised == longest_size_32) { // RF64: the sizes are in the chunk ds64
                layout.size_bytes = 8;
                whole_at = sizes_64->body;
                sizes = {sizes_64->body + 8};
                promised = file.number(sizes[0], 8, false);
                ChunkLayout behind = layout;
                behind.size_bytes = 4;
                if (promised <= file.size() - chunk.body && promised != 0 &&
                    are_chunks(file, behind, chunk.body + padded(promised, 2)))
                    return;
            }
            mend_size(file, layout, view, chunk.body, promised, sizes, whole_at);
            if (frames_at != 0 && !view.patches.empty() && file.number(frames_at, 4, true) == 0)
                view.patches.push_back({frames_at, std::string("\x7f\xff\xff\xff", 4)});
            if (format == mp3) {
                view.begin = chunk.body;
                view.end = std::min(view.end, chunk.body + promised < chunk.body ? view.end : chunk.body + promised);
                if (view.ends_early) view.end = end_of_samples(file, layout, chunk.body);
                view.patches.clear();
                show_mpeg_index(file, view);
            }
            return;
        }
        if (chunk.size > file.size() - at) return;
        at = chunk.body + padded(chunk.size, layout.align);
    }
}

void view_au(const FileBytes& file, bool big_endian, AudioView& view) {
    const uint64_t begin = file.number(4, 4, big_endian), promised = file.number(8, 4, big_endian);
    constexpr uint64_t head_bytes = 24;
    if (file.size() < head_bytes || begin >= file.size() || (promised != 0 && promised <= file.size() - begin)) return;
    const uint64_t there = file.size() - begin;
    view.streamed = is_stream_size(promised, 4);
    view.ends_early = promised != longest_size_32;
    view.promised_share = static_cast<double>(promised) / static_cast<double>(there);
    view.patches.push_back({8, bytes_of(std::min(there, longest_size_32), 4, big_endian)});
}

/// Whether "OggS" at `at` may begin a page (version 0, three flags). Compressed audio may hold these bytes too.
bool is_page_head(std::string_view bytes, size_t at) {
    return (at + 4 >= bytes.size() || bytes[at + 4] == 0) &&
           (at + 5 >= bytes.size() || static_cast<uint8_t>(bytes[at + 5]) < 8);
}

/// Offset of the last page that begins before `before`. Zeros or anything else may follow it.
std::optional<uint64_t> last_page(const FileBytes& file, uint64_t before) {
    constexpr uint64_t step = 1 << 16, head = 6;
    while (before > 0) {
        const uint64_t from = before - std::min(before, step);
        const std::string bytes = file.text(from, before - from + head - 1);
        const std::string_view starts =
            std::string_view(bytes).substr(0, std::min<size_t>(bytes.size(), before - from + 3));
        for (size_t at = starts.rfind("OggS"); at != std::string_view::npos;
             at = at == 0 ? std::string_view::npos : starts.rfind("OggS", at - 1))
            if (is_page_head(bytes, at)) return from + at;
        before = from;
    }
    return {};
}

/// Ogg: pages of a 27-byte head ("OggS", version, flags, ..., segment count), segment sizes, body. The last page of a
/// stream has flag 4.
void view_ogg(const FileBytes& file, AudioView& view) {
    constexpr uint64_t head_bytes = 27;
    uint64_t truncated_at = 0; ///< offset of the last page that is not whole
    std::optional<uint64_t> page = last_page(file, file.size());
    while (page) {
        const uint64_t segments = file.number(*page + head_bytes - 1, 1, false);
        const std::string sizes = file.text(*page + head_bytes, segments);
        uint64_t end = *page + head_bytes + segments;
        for (char size : sizes) end += static_cast<uint8_t>(size);
        if (*page + head_bytes <= file.size() && sizes.size() == segments && end <= file.size()) {
            const bool closed = (file.number(*page + 5, 1, false) & 4) != 0;
            const bool truncated = truncated_at >= end; // below `end` it was no page but bytes inside this one
            view.ends_early = truncated || !closed;
            view.streamed = !truncated;
            view.knows_its_end = true;
            if (view.ends_early) view.end = end;
            return;
        }
        truncated_at = std::max(truncated_at, *page);
        page = last_page(file, *page);
    }
    view.ends_early = true;
}

} // namespace

AudioView view_audio(const FileBytes& file) {
    AudioView view;
    view.end = file.size();
    const std::string head = file.text(0, 12), kind = head.size() == 12 ? head.substr(8) : "";
    const ChunkLayout wave, rifx{.big_endian = true};
    const ChunkLayout w64{.first = 40, .tag_bytes = 16, .size_bytes = 8, .counts_head = true, .align = 8};
    const ChunkLayout aiff{.big_endian = true, .samples = "SSND", .preface = 8};
    const ChunkLayout caf{
        .first = 8, .size_bytes = 8, .big_endian = true, .align = 1, .preface = 4, .unknown_is_legal = true};
    if ((head.starts_with("RIFF") || head.starts_with("RF64") || head.starts_with("BW64")) && kind == "WAVE")
        view_chunks(file, wave, view, 4);
    else if (head.starts_with("RIFX") && kind == "WAVE")
        view_chunks(file, rifx, view, 4);
    else if (head.starts_with("FORM") && (kind == "AIFF" || kind == "AIFC"))
        view_chunks(file, aiff, view, 4);
    else if (head.starts_with("riff"))
        view_chunks(file, w64, view, 16);
    else if (head.starts_with("caff"))
        view_chunks(file, caf, view, 0);
    else if (head.starts_with(".snd") || head.starts_with("dns."))
        view_au(file, head[0] == '.', view);
    else if (head.starts_with("OggS"))
        view_ogg(file, view);
    else if (is_mpeg_audio(file, 0))
        show_mpeg_index(file, view);
    return view;
}

} // namespace scene
