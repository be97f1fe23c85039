#include "kernels/files/safetensors.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using test::TemporaryFolder;

std::string with_length(const std::string& header, const std::string& data = "") {
    std::string out;
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(header.size() >> (8 * i)));
    return out + header + data;
}

SafetensorsContent parse(const std::string& bytes) {
    return parse_safetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), "file");
}

testing::AssertionResult rejects(const std::string& bytes, const std::vector<std::string>& parts) {
    std::vector<std::string> all = parts;
    all.push_back("file: ");
    return fails_with([&] { parse(bytes); }, all);
}

TEST(Safetensors, RoundTripKeepsTypesShapesBytesAndMetadata) {
    TemporaryFolder folder;
    const std::vector<double> wide = {1.5, std::numeric_limits<double>::quiet_NaN(), -0.0};
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    const std::vector<int32_t> numbers = {-1, 7};
    const std::string text = "Xi'an \"\\ \xE8\xA5\xBF";
    {
        SafetensorsWriter writer(folder / "a.safetensors", {{"format", text}, {"empty", ""}});
        writer.declare("wide", "F64", {3});
        writer.declare("values", "F32", {2, 3});
        writer.declare("none", "F32", {0, 3});
        writer.declare("scalar", "I32", {});
        writer.declare("numbers", "I32", {2});
        writer.declare("tail", "U8", {1});
        writer.write(std::span<const double>(wide));
        writer.write(values.data(), 10);
        writer.write(reinterpret_cast<const char*>(values.data()) + 10, 14);
        writer.write(&numbers[1], 4);
        writer.write(std::span<const int32_t>(numbers));
        writer.write("z", 1);
        writer.commit();
    }
    SafetensorsFile opened(folder / "a.safetensors");
    const SafetensorsFile file = std::move(opened);
    EXPECT_EQ(file.metadata(), (Metadata{{"format", text}, {"empty", ""}}));
    ASSERT_EQ(file.tensors().size(), 6u);
    const std::span<const double> read = file.tensor("wide").as<double>();
    EXPECT_EQ(std::memcmp(read.data(), wide.data(), 24), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.data()) % 64, 0u);
    EXPECT_EQ(file.tensor("values").shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(file.tensor("values").as<float>()[5], 6);
    EXPECT_EQ(file.tensor("values").description(), "F32 [2, 3]");
    EXPECT_EQ(file.tensor("none").elements(), 0);
    EXPECT_TRUE(file.tensor("scalar").shape.empty());
    EXPECT_EQ(file.tensor("scalar").as<int32_t>()[0], 7);
    EXPECT_EQ(file.tensor("numbers").as<int32_t>()[0], -1);
    EXPECT_FALSE(file.contains("other"));
    EXPECT_TRUE(fails_with([&] { file.tensor("other"); }, {"a.safetensors", "no tensor 'other'"}));
    EXPECT_TRUE(fails_with([&] { file.metadata("other"); }, {"a.safetensors", "no metadata 'other'"}));
    EXPECT_TRUE(fails_with([&] { file.tensor("values").as<int32_t>(); }, {"'values' is F32 [2, 3]", "I32"}));
}

TEST(Safetensors, TheLayoutIsTheReferenceWriters) {
    const std::string header = R"({"__metadata__":{"a":"b","crc32c":"00000000"},)"
                               R"("x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    EXPECT_EQ(safetensors_header({{"a", "b"}}, {{"x", "F32", {2}}}),
              with_length(header + std::string(128 - 8 - header.size(), ' ')));
    EXPECT_EQ(safetensors_header({}, {}).size(), 64u);
    EXPECT_EQ(safetensors_header({}, {}, 4000).size(), 4032u);
}

TEST(Safetensors, ReadsEveryType) {
    for (const auto& [name, bytes] : std::vector<std::pair<std::string, size_t>>{{"F64", 8},
                                                                                 {"F32", 4},
                                                                                 {"F16", 2},
                                                                                 {"BF16", 2},
                                                                                 {"I64", 8},
                                                                                 {"I32", 4},
                                                                                 {"I16", 2},
                                                                                 {"I8", 1},
                                                                                 {"U8", 1},
                                                                                 {"BOOL", 1}}) {
        const std::string file = with_length(R"({"x":{"dtype":")" + name + R"(","shape":[3],"data_offsets":[0,)" +
                                                 std::to_string(3 * bytes) + "]}}",
                                             std::string(3 * bytes, 'x'));
        EXPECT_EQ(parse(file).entries.at(0).elements(), 3) << name;
    }
}

TEST(Safetensors, EntriesComeInTheOrderOfTheirBytes) {
    const std::string file = with_length(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},)"
                                         R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                         "xyz");
    const SafetensorsContent content = parse(file);
    EXPECT_EQ(content.entries[0].name, "b");
    EXPECT_EQ(content.entries[1].bytes[1], std::byte{'z'});
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                const std::string& data) {
    return with_length(R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
                       data);
}

TEST(Safetensors, CutShortFilesAreNamedSo) {
    EXPECT_TRUE(rejects("", {"cut short", "0 bytes"}));
    EXPECT_TRUE(rejects("1234567", {"cut short"}));
    const std::string whole = one("\"F32\"", "[2]", "[0,8]", "12345678");
    EXPECT_NO_THROW(parse(whole));
    for (size_t size = 8; size < whole.size(); ++size)
        EXPECT_TRUE(rejects(whole.substr(0, size), {"cut short", "make it anew"})) << size;
    EXPECT_TRUE(rejects(whole.substr(0, whole.size() - 1), {"tensor 'x' ends at byte 8 of 7"}));
}

TEST(Safetensors, OtherFilesAreNamedSo) {
    EXPECT_TRUE(rejects("RIFF....WAVEfmt ", {"not a safetensors file"}));
    EXPECT_TRUE(rejects(with_length("[]"), {"not a safetensors file"}));
    EXPECT_TRUE(rejects(std::string("\xFF\xFF\xFF\xFF\0\0\0\0{}", 10), {"not a safetensors file"}));
}

TEST(Safetensors, CorruptedHeadersAreNamedSo) {
    const auto corrupted = [](const std::string& bytes, const std::string& part) {
        return rejects(bytes, {"corrupted", part, "make it anew"});
    };
    EXPECT_TRUE(corrupted(with_length("{\"x\":"), "not a JSON object"));
    EXPECT_TRUE(corrupted(with_length("{} {}"), "not a JSON object"));
    EXPECT_TRUE(corrupted(with_length("{\"\xFF\":1}"), "not a JSON object"));
    EXPECT_TRUE(corrupted(with_length(R"({"x":1})"), "tensor 'x' lacks"));
    EXPECT_TRUE(corrupted(with_length(R"({"__metadata__":[]})"), "__metadata__"));
    EXPECT_TRUE(corrupted(with_length(R"({"__metadata__":{"a":1}})"), "metadata 'a' is not a string"));
    EXPECT_TRUE(corrupted(with_length(R"({"__metadata__":{"a":"1","a":"2"}})"), "'a' stands twice"));
    EXPECT_TRUE(corrupted(one("\"F31\"", "[2]", "[0,8]", "12345678"), "unknown dtype"));
    EXPECT_TRUE(corrupted(one("7", "[2]", "[0,8]", "12345678"), "unknown dtype"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "2", "[0,8]", "12345678"), "not a list"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[-2]", "[0,8]", "12345678"), "impossible shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2.0]", "[0,8]", "12345678"), "impossible shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[4294967296,4294967296]", "[0,0]", ""), "impossible shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[18446744073709551615]", "[0,0]", ""), "impossible shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[3]", "[0,8]", "12345678"), "do not agree with its shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2]", "[8,0]", "12345678"), "do not agree with its shape"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2]", "[0]", "12345678"), "impossible offsets"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2]", "[0,-8]", "12345678"), "impossible offsets"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2]", "[0,8]", "123456789"), "1 bytes after the last tensor"));
    EXPECT_TRUE(corrupted(one("\"F32\"", "[2]", "[1,9]", "123456789"), "begins at 1, the one before ends at 0"));
}

TEST(Safetensors, OverlapsHolesAndRepeatedNamesAreRejected) {
    const auto two = [](const std::string& second, const std::string& offsets, const std::string& data) {
        return with_length(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},")" + second +
                               R"(":{"dtype":"U8","shape":[2],"data_offsets":)" + offsets + "}}",
                           data);
    };
    EXPECT_NO_THROW(parse(two("b", "[2,4]", "1234")));
    EXPECT_TRUE(rejects(two("b", "[1,3]", "123"), {"corrupted", "tensor 'b' begins at 1"}));
    EXPECT_TRUE(rejects(two("b", "[3,5]", "12345"), {"corrupted", "tensor 'b' begins at 3"}));
    EXPECT_TRUE(rejects(two("a", "[2,4]", "1234"), {"corrupted", "'a' stands twice"}));
}

TEST(Safetensors, OneChangedByteAnywhereIsFound) {
    TemporaryFolder folder;
    {
        SafetensorsWriter writer(folder / "a", {{"classes", "Bus"}, {"zone", "crc32c"}});
        writer.declare("x", "F32", {5});
        writer.write(std::span<const float>(std::vector<float>{1, 2, 3, 4, 5}));
        writer.commit();
    }
    const std::string whole = test::read_text(folder / "a");
    EXPECT_EQ(parse(whole).metadata, (Metadata{{"classes", "Bus"}, {"zone", "crc32c"}}));
    for (size_t i = 0; i < whole.size(); ++i)
        for (const int flip : {1, 0x20, 0x80}) {
            std::string damaged = whole;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            if (damaged.find("\"crc32c\":\"") == std::string::npos) continue; // passes for a file of another writer
            EXPECT_TRUE(fails_with([&] { parse(damaged); }, {"make it anew"})) << i << " " << flip;
        }
}

TEST(Safetensors, MissingFilesAndFoldersAreNamed) {
    TemporaryFolder folder;
    EXPECT_TRUE(fails_with([&] { SafetensorsFile(folder / "none"); }, {"none", "no such file", "check the path"}));
    EXPECT_TRUE(fails_with([&] { SafetensorsFile{folder.path()}; }, {"not a regular file"}));
    test::write_text(folder / "empty", "");
    EXPECT_TRUE(fails_with([&] { SafetensorsFile(folder / "empty"); }, {"empty", "cut short"}));
}

TEST(Safetensors, TheWriterHoldsItsCallerToTheDeclaration) {
    TemporaryFolder folder;
    SafetensorsWriter writer(folder / "a");
    writer.declare("x", "U8", {3});
    writer.write("12", 2);
    EXPECT_THROW(writer.commit(), std::logic_error);
    EXPECT_THROW(writer.write("34", 2), std::logic_error);
    EXPECT_THROW(safetensors_header({}, {{"x", "U8", {3}}, {"y", "F32", {1}}}), std::logic_error);
    EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

} // namespace
} // namespace scene
