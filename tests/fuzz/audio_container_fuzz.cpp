// Damaged and cut audio files, as far as their containers tell.

#include "data/audio/audio_container.h"

#include "kernels/error.h"
#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

std::string number(uint64_t value, int bytes, bool big_endian) {
    std::string out;
    for (int i = 0; i < bytes; ++i)
        out.push_back(static_cast<char>(value >> (8 * (big_endian ? bytes - 1 - i : i)) & 0xff));
    return out;
}

std::string little(uint32_t value) { return number(value, 4, false); }

std::string chunk(const std::string& tag, const std::string& body, bool big_endian = false) {
    return tag + number(body.size(), 4, big_endian) + body + std::string(body.size() % 2, '\0');
}

std::string riff(const std::string& chunks) {
    return "RIFF" + little(static_cast<uint32_t>(4 + chunks.size())) + "WAVE" + chunks;
}

std::string ogg_page(char flags, uint32_t page, const std::string& body) {
    std::string head = "OggS" + std::string(1, '\0') + flags + std::string(8, '\x01') + little(7) + little(page) +
                       std::string(4, '\x5A');
    std::string sizes(body.size() / 255, '\xFF');
    sizes.push_back(static_cast<char>(body.size() % 255));
    return head + static_cast<char>(sizes.size()) + sizes + body;
}

std::string mp3(int frames, const std::string& first) {
    std::string out = std::string("\xff\xfb\x10\xc4", 4) + std::string(17, '\0') + first;
    out.resize(104, '\0');
    for (int i = 1; i < frames; ++i) out += std::string("\xff\xfb\x10\xc4", 4) + std::string(100, '\0');
    return out;
}

/// Accepted: what the header says is what there is.
bool accepts(const std::string& input) {
    const scene::FileBytes file(scene::test::write_input("fuzz.audio", input));
    const scene::AudioView view = scene::view_audio(file);
    require(view.begin <= view.end && view.end <= input.size(), "what is shown lies in the file");
    require(view.head.size() < 6000, "what is shown before it is a frame");
    for (const scene::BytePatch& patch : view.patches)
        require(patch.at + patch.bytes.size() <= input.size(), "what is replaced lies in the file");
    require(view.promised_share >= 0, "a share is no less than nothing");
    return !view.ends_early && view.head.empty() && view.patches.empty();
}

} // namespace

int main(int argc, char** argv) {
    const std::string format("\x01\0\x01\0\x44\xAC\0\0\x88\x58\x01\0\x02\0\x10\0", 16);
    const std::string samples(64, '\x11'), edits(4, '\0'), guid("\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12);
    const std::string sizes_64 = number(100, 8, false) + number(64, 8, false) + number(32, 8, false) + little(0);
    return scene::test::fuzz_main(
        argc, argv,
        {{riff(chunk("fmt ", format) + chunk("data", samples)),
          riff(chunk("fmt ", format) + chunk("LIST", "odd") + chunk("data", samples) + chunk("id3 ", "tag")),
          "RF64" + little(UINT32_MAX) + "WAVE" + chunk("ds64", sizes_64) + chunk("fmt ", format) + "data" +
              little(UINT32_MAX) + samples,
          "FORM" + number(100, 4, true) + "AIFF" + chunk("COMM", std::string(18, '\x01'), true) +
              chunk("SSND", std::string(8, '\0') + samples, true),
          "caff" + std::string(4, '\0') + "data" + number(68, 8, true) + edits + samples,
          "riff" + std::string(36, '\0') + "data" + guid + number(88, 8, false) + samples,
          ".snd" + number(24, 4, true) + number(64, 4, true) + std::string(12, '\x01') + samples,
          ogg_page(2, 0, "\x01vorbis head") + ogg_page(0, 1, std::string(600, '\x22')) + ogg_page(4, 2, samples),
          ogg_page(2, 0, "OpusHead") + ogg_page(5, 1, std::string(255, '\x33')) + "a tag after the end", "fLaC",
          mp3(4, std::string("Info\0\0\0\1\0\0\0\3", 12)), "ID3" + std::string(7, '\0') + "no frame"},
         {"RIFF",
          "WAVE",
          "data",
          "LIST",
          "SSND",
          "COMM",
          "ds64",
          "OggS",
          std::string("OggS\0\x04", 6),
          std::string("OggS\0\0", 6),
          "\xFF",
          "\xff\xfb\x10\xc4",
          "\xff\xfb\xe0\xc4",
          "Xing",
          "VBRI",
          "ID3",
          little(0xFFFFFFFF),
          little(0xFFFFFFFE),
          little(0x7FFFFFFF),
          little(0),
          little(1),
          "data" + little(2),
          number(0xFFFFFFFFFFFFFFFF, 8, false),
          number(0x7FFFFFFFFFFFFFFF, 8, true),
          chunk("fact", "1234"),
          std::string("U\0", 2),
          ogg_page(4, 3, "end"),
          ogg_page(0, 3, "more"),
          mp3(3, ""),
          std::string(16, '\0')},
         accepts,
         50000});
}
