// Damaged and cut WAV and OGG files, as far as their containers tell.

#include "data/audio_container.h"

#include <optional>

#include "kernels/error.h"
#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

uint64_t little_endian(const std::string& bytes, size_t at) {
    uint64_t value = 0;
    for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

std::string little_endian(uint32_t value) {
    std::string out;
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
}

std::string chunk(const std::string& tag, const std::string& body) {
    return tag + little_endian(static_cast<uint32_t>(body.size())) + body + std::string(body.size() % 2, '\0');
}

std::string riff(const std::string& chunks) {
    return "RIFF" + little_endian(static_cast<uint32_t>(4 + chunks.size())) + "WAVE" + chunks;
}

std::string ogg_page(char flags, uint32_t number, const std::string& body) {
    std::string head = "OggS" + std::string(1, '\0') + flags + std::string(8, '\x01') + little_endian(7) +
                       little_endian(number) + std::string(4, '\x5A');
    std::string sizes(body.size() / 255, '\xFF');
    sizes.push_back(static_cast<char>(body.size() % 255));
    return head + static_cast<char>(sizes.size()) + sizes + body;
}

/// Whether every byte of the data chunk is there, or there is no such chunk.
bool is_whole_wav(const std::string& file) {
    for (uint64_t at = 12; at + 8 <= file.size();) {
        const uint64_t size = little_endian(file, at + 4);
        if (file.compare(at, 4, "data") == 0) return size == 0xFFFFFFFF || at + 8 + size <= file.size();
        at += 8 + size + size % 2;
    }
    return true;
}

/// "OggS" with the version and the flags of a page behind it, as far as the file reaches.
bool is_page(const std::string& file, size_t at) {
    return file.compare(at, 4, "OggS") == 0 && (at + 4 >= file.size() || file[at + 4] == 0) &&
           (at + 5 >= file.size() || (file[at + 5] & 0xF8) == 0);
}

/// Whether the page that the others lead to is whole and closes the stream; nothing where a page also seems to begin
/// elsewhere, so that the end of the file alone cannot tell.
std::optional<bool> is_whole_ogg(const std::string& file) {
    size_t pages = 0, found = 0, at = 0;
    bool whole = false;
    while (is_page(file, at)) {
        ++pages;
        whole = false;
        if (at + 27 > file.size()) break;
        const size_t segments = static_cast<unsigned char>(file[at + 26]);
        size_t end = at + 27 + segments;
        for (size_t i = 0; i < segments && at + 27 + i < file.size(); ++i)
            end += static_cast<unsigned char>(file[at + 27 + i]);
        if (end > file.size()) break;
        whole = (file[at + 5] & 4) != 0;
        at = end;
    }
    for (size_t i = 0; i < file.size(); ++i) found += is_page(file, i) ? 1 : 0;
    return pages == found ? std::optional(whole) : std::nullopt;
}

bool accepts(const std::string& input) {
    const std::string file = scene::test::write_input("fuzz.audio", input);
    bool accepted = true;
    try {
        scene::require_complete_container(file);
    } catch (const scene::Error& error) {
        accepted = false;
        require(std::string(error.what()).find("cut short") != std::string::npos, "the error says what is wrong");
    }
    if (input.starts_with("RIFF") && input.size() >= 12 && input.compare(8, 4, "WAVE") == 0)
        require(accepted == is_whole_wav(input), "a WAV file is refused exactly where its data is cut");
    else if (input.starts_with("OggS") && input.size() >= 12)
        require(accepted == is_whole_ogg(input).value_or(accepted), "an OGG file is refused exactly where it is cut");
    else
        require(accepted, "other files are for the decoder");
    return accepted;
}

} // namespace

int main(int argc, char** argv) {
    const std::string format("\x01\0\x01\0\x44\xAC\0\0\x88\x58\x01\0\x02\0\x10\0", 16);
    const std::string samples(64, '\x11');
    std::string piped = riff(chunk("fmt ", format) + chunk("data", samples));
    piped.replace(piped.size() - samples.size() - 4, 4, little_endian(0xFFFFFFFF));
    return scene::test::fuzz_main(
        argc, argv,
        {{riff(chunk("fmt ", format) + chunk("data", samples)),
          riff(chunk("fmt ", format) + chunk("LIST", "odd") + chunk("data", samples) + chunk("id3 ", "tag")), piped,
          ogg_page(2, 0, "\x01vorbis head") + ogg_page(0, 1, std::string(600, '\x22')) + ogg_page(4, 2, samples),
          ogg_page(2, 0, "OpusHead") + ogg_page(5, 1, std::string(255, '\x33')) + "a tag after the end", "fLaC"},
         {"RIFF", "WAVE", "data", "LIST", "OggS", std::string("OggS\0\x04", 6), std::string("OggS\0\0", 6), "\xFF",
          little_endian(0xFFFFFFFF), little_endian(0xFFFFFFFE), little_endian(0x7FFFFFFF), little_endian(0),
          little_endian(1), "data" + little_endian(2), chunk("fact", "1234"), ogg_page(4, 3, "end"),
          ogg_page(0, 3, "more"), std::string(16, '\0')},
         accepts,
         50000});
}
