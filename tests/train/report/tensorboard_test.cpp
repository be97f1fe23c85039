#include "train/report/tensorboard.h"

#include <cstring>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

std::string bytes(std::initializer_list<int> values) {
    std::string out;
    for (int value : values) out += static_cast<char>(value);
    return out;
}

uint32_t word_at(const std::string& text, size_t at) {
    uint32_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    return word;
}

// CRC-32C of "123456789" is 0xE3069283; masked: ((crc >> 15) | (crc << 17)) + 0xa282ead8 modulo 2^32.
TEST(Tensorboard, MasksTheKnownChecksum) {
    const uint32_t crc = 0xE3069283u;
    EXPECT_EQ(masked_crc32c("123456789"), (crc >> 15 | crc << 17) + 0xa282ead8u);
    EXPECT_EQ(masked_crc32c(""), 0xa282ead8u);
}

TEST(Tensorboard, ARecordIsLengthChecksumDataChecksum) {
    const std::string record = tfrecord("abc");
    ASSERT_EQ(record.size(), 8u + 4 + 3 + 4);
    EXPECT_EQ(record.substr(0, 8), bytes({3, 0, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(word_at(record, 8), masked_crc32c(record.substr(0, 8)));
    EXPECT_EQ(record.substr(12, 3), "abc");
    EXPECT_EQ(word_at(record, 15), masked_crc32c("abc"));
}

TEST(Tensorboard, EventsByteForByte) {
    const std::string wall = bytes({0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F}); // field 1, double 1.5
    EXPECT_EQ(version_event(1.5), wall + bytes({0x1A, 13}) + "brain.Event:2");
    const std::string value = bytes({0x0A, 4}) + "loss" + bytes({0x15, 0, 0, 0x20, 0x40}); // tag, float 2.5
    const std::string summary = bytes({0x0A, static_cast<int>(value.size())}) + value;
    EXPECT_EQ(scalar_event(1.5, 300, "loss", 2.5f),
              wall + bytes({0x10, 0xAC, 0x02}) + bytes({0x2A, static_cast<int>(summary.size())}) + summary);
}

/// Varints: seven bits per byte, lowest first; the top bit is set in all bytes but the last.
TEST(Tensorboard, NumbersOfEveryLength) {
    const struct {
        int64_t step;
        std::string varint;
    } cases[] = {{0, bytes({0})},
                 {1, bytes({1})},
                 {127, bytes({0x7F})},
                 {128, bytes({0x80, 1})},
                 {16383, bytes({0xFF, 0x7F})},
                 {16384, bytes({0x80, 0x80, 1})},
                 {int64_t{1} << 35, bytes({0x80, 0x80, 0x80, 0x80, 0x80, 1})}};
    for (const auto& [step, varint] : cases) {
        const std::string event = scalar_event(0, step, "a", 0);
        EXPECT_EQ(event.substr(9, 1 + varint.size()), bytes({0x10}) + varint) << step;
        EXPECT_EQ(event[10 + varint.size()], 0x2A) << step;
    }
}

TEST(Tensorboard, TheFileIsASequenceOfRecords) {
    const TemporaryFolder folder;
    std::filesystem::path path;
    {
        TensorboardWriter writer(folder.path());
        path = writer.path();
        writer.scalar("a", 1, 0.5);
        writer.scalar("a", 2, 0.25);
    }
    const std::string name = path.filename().string();
    EXPECT_TRUE(name.starts_with("events.out.tfevents.")) << name;
    std::ifstream stream(path, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    size_t records = 0;
    for (size_t at = 0; at < content.size(); ++records) {
        ASSERT_LE(at + 12, content.size());
        const size_t length = word_at(content, at);
        EXPECT_EQ(word_at(content, at + 8), masked_crc32c(content.substr(at, 8)));
        ASSERT_LE(at + 16 + length, content.size());
        EXPECT_EQ(word_at(content, at + 12 + length), masked_crc32c(content.substr(at + 12, length)));
        at += 16 + length;
    }
    EXPECT_EQ(records, 3u);
    TensorboardWriter second(folder.path());
    EXPECT_NE(second.path(), path) << "a resumed run opens another file";
}

} // namespace
} // namespace scene::test
