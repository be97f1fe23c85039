// Damaged files that readers once handled wrongly. tests/fuzz tries more.

#include <algorithm>

#include <gtest/gtest.h>

#include "data/audio/audio_container.h"
#include "data/store/prepare_journal.h"
#include "kernels/files/crc32c.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;

class DamagedFiles : public testing::Test {
protected:
    std::filesystem::path at(const std::string& name) const { return folder_ / name; }

    test::TemporaryFolder folder_;
};

/// A file of gigabytes of zeros would be millions of empty chunks. The search ends after a bounded number.
TEST_F(DamagedFiles, AWavOfEmptyChunksIsLeftToTheDecoder) {
    const std::string cut_data("data\xff\xff\0\0", 8);
    const auto file_of = [&](size_t empty_chunks) {
        test::write_text(at("empty.wav"), "RIFF1234WAVE" + std::string(8 * empty_chunks, '\0') + cut_data);
        return at("empty.wav");
    };
    EXPECT_TRUE(view_audio(FileBytes(file_of(100))).ends_early);
    EXPECT_FALSE(view_audio(FileBytes(file_of(100000))).ends_early);
}

/// Compressed audio may contain the bytes with which a page begins.
TEST_F(DamagedFiles, OggBytesInsideAPageAreNoPage) {
    const auto file_of = [&](char flags, const std::string& body) {
        const std::string head = "OggS" + std::string(1, '\0') + flags + std::string(20, '\1') + '\1';
        test::write_text(at("page.ogg"), head + static_cast<char>(body.size()) + body);
        return at("page.ogg");
    };
    const auto ends_early = [&](char flags, const std::string& body) {
        return view_audio(FileBytes(file_of(flags, body))).ends_early;
    };
    EXPECT_FALSE(ends_early(4, "some OggS\x01\x04 audio, some OggS" + std::string("\0\x08", 2)));
    EXPECT_FALSE(ends_early(4, "some OggS" + std::string("\0\0", 2) + "audio"));
    EXPECT_TRUE(ends_early(0, "some OggS\x01\x04 audio"));
}

/// Lines with a right checksum that are no valid record of the next chunk; there are 10 clips in chunks of 4.
TEST_F(DamagedFiles, LinesThatAreNoRecordEndAJournal) {
    const std::filesystem::path file = at("journal");
    const auto records_with = [&](const std::string& line) {
        PrepareJournal(file, "run", 10, 4).append({0, {{3, "why"}}, {1}});
        test::write_text(file,
                         test::read_text(file) + fmt::format("{:08x} {}\n", crc32c(line.data(), line.size()), line));
        const size_t records = PrepareJournal(file, "run", 10, 4).records().size();
        EXPECT_EQ(PrepareJournal(file, "run", 10, 4).records().size(), std::min<size_t>(records, 2));
        std::filesystem::remove(file);
        return records;
    };
    EXPECT_EQ(records_with(R"({"chunk":1,"bad":[[4,"x"]],"silent":[7]})"), 2u);
    for (const char* line : {"", "[]", "{}", R"({"chunk":1,"bad":[]})", R"({"chunk":2,"bad":[],"silent":[]})",
                             R"({"chunk":1.0,"bad":[],"silent":[]})", R"({"chunk":1,"bad":[],"silent":[8]})",
                             R"({"chunk":1,"bad":[[-1,"x"]],"silent":[]})", R"({"chunk":1,"bad":[[4]],"silent":[]})"})
        EXPECT_EQ(records_with(line), 1u) << line;
}

} // namespace
} // namespace scene
