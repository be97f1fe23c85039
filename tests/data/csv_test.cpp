#include "data/csv.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using Fields = std::vector<std::string>;
using test::fails_with;

testing::AssertionResult rejects(const std::string& text, const std::vector<std::string>& parts) {
    return fails_with([&] { parse_csv(text, "a.csv"); }, parts);
}

TEST(Csv, PlainRowsWithEveryLineEnd) {
    for (const std::string end : {"\n", "\r\n", "\r"})
        for (const bool last : {true, false}) {
            const CsvTable table = parse_csv("a,b" + end + "1,2" + end + end + ",Xi'an" + (last ? end : ""), "x");
            EXPECT_EQ(table.header, (Fields{"a", "b"}));
            ASSERT_EQ(table.rows.size(), 2u);
            EXPECT_EQ(table.rows[0].fields, (Fields{"1", "2"}));
            EXPECT_EQ(table.rows[1].fields, (Fields{"", "Xi'an"}));
            EXPECT_EQ(table.place(table.rows[1]), "x:4");
        }
}

TEST(Csv, QuotesHoldDelimitersQuotesAndLineEnds) {
    const CsvTable table = parse_csv("a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"two\nlines\",\"\"\nlast,it\"s\n", "x");
    EXPECT_EQ(table.rows[0].fields, (Fields{"x,y", "say \"hi\""}));
    EXPECT_EQ(table.rows[1].fields, (Fields{"two\nlines", ""}));
    EXPECT_EQ(table.rows[2].fields, (Fields{"last", "it\"s"}));
    EXPECT_EQ(table.rows[2].line, 5u);
}

TEST(Csv, MarkTabsAndCaseOfTheHeader) {
    const CsvTable table = parse_csv("\xEF\xBB\xBF File name \tlabel\n a,b\tc\n", "x");
    EXPECT_EQ(table.delimiter, '\t');
    EXPECT_EQ(table.find("file NAME"), 0);
    EXPECT_EQ(table.find("LABEL"), 1);
    EXPECT_EQ(table.find("other"), -1);
    EXPECT_EQ(table.rows[0].fields, (Fields{" a,b", "c"}));
    EXPECT_EQ(table.header_text(), "File name, label");
}

/// The second of two marks is a character of the first line, for the header as for the rows.
TEST(Csv, OnlyOneMarkIsNone) {
    const CsvTable table = parse_csv("\xEF\xBB\xBF\xEF\xBB\xBF\na\tb\n", "x");
    EXPECT_EQ(table.header, (Fields{"\xEF\xBB\xBF"}));
    ASSERT_EQ(table.rows.size(), 1u);
    EXPECT_EQ(table.rows[0].fields, (Fields{"a\tb"}));
}

TEST(Csv, ErrorsNameFileAndLine) {
    EXPECT_TRUE(rejects("", {"a.csv", "empty"}));
    EXPECT_TRUE(rejects("\n\n", {"a.csv", "empty"}));
    EXPECT_TRUE(rejects("a,b\n", {"a.csv", "no rows"}));
    EXPECT_TRUE(rejects("a,b\n1,2\n1\n", {"a.csv:3", "1 fields", "header has 2 (a, b)"}));
    EXPECT_TRUE(rejects("a,b\n1,2,3\n", {"a.csv:2", "3 fields"}));
    EXPECT_TRUE(rejects("a,b\n1,\"2\n3,4\n", {"a.csv:2", "never closed"}));
    EXPECT_TRUE(rejects("a,b\n1,\"2\"3\n", {"a.csv:2", "after a closing quote"}));
    EXPECT_TRUE(rejects(std::string("a,b\n1,\0\n", 8), {"a.csv:2", "not UTF-8"}));
    EXPECT_TRUE(rejects("a,b\n1,2\n3,\xCE\xF7\n", {"a.csv:3", "not UTF-8"}));
}

TEST(Csv, Utf8IsCheckedAsTheStandardSays) {
    for (const std::string good : {"\xC3\xA9", "\xE8\xA5\xBF", "\xF0\x9F\x8E\xB5", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"})
        EXPECT_EQ(parse_csv("a\n" + good, "x").rows[0].fields[0], good);
    for (const std::string bad : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF",
                                  "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE8\xA5", "\xC3", "\xFF"})
        EXPECT_TRUE(rejects("a\n" + bad, {"not UTF-8"}));
}

/// Files are read 64 KiB at a time.
TEST(Csv, FilesOfAnyLengthAreReadWhole) {
    test::TemporaryFolder folder;
    constexpr size_t block = 1 << 16;
    for (const size_t bytes : {block - 1, block, block + 1, 2 * block, 3 * block + 17}) {
        std::string text = "a,b\n";
        size_t rows = 0;
        for (; text.size() + 20 < bytes; ++rows) text += std::to_string(rows) + ",x\n";
        text += "last," + std::string(bytes - text.size() - 5, 'y');
        test::write_text(folder / "long.csv", text);
        ASSERT_EQ(std::filesystem::file_size(folder / "long.csv"), bytes);
        const CsvTable table = read_csv(folder / "long.csv");
        ASSERT_EQ(table.rows.size(), rows + 1);
        for (size_t row = 0; row < rows; ++row) ASSERT_EQ(table.rows[row].fields[0], std::to_string(row));
        EXPECT_EQ("last," + table.rows.back().fields[1], text.substr(text.rfind("last")));
        EXPECT_EQ(read_csv_header(folder / "long.csv").header, (Fields{"a", "b"}));
    }
}

TEST(Csv, FilesThatCannotBeRead) {
    test::TemporaryFolder folder;
    EXPECT_TRUE(fails_with([&] { read_csv(folder / "none.csv"); }, {"none.csv", "cannot be opened"}));
    EXPECT_TRUE(fails_with([&] { read_csv(folder.path()); }, {"a folder"}));
}

TEST(Csv, TheHeaderAloneNeedsNoRowsBehindIt) {
    EXPECT_EQ(parse_csv_header("a,b\n\xFF,1,2,\"", "x").header, (Fields{"a", "b"}));
}

TEST(Csv, FieldsSurviveWritingAndReading) {
    for (const std::string field : {"plain", "a,b", "say \"hi\"", "two\nlines", "Xi'an", "\"", "\r"})
        EXPECT_EQ(parse_csv("a,b\n" + csv_field(field) + ",x\n", "x").rows[0].fields[0], field);
    EXPECT_EQ(csv_field("Xi'an"), "Xi'an");
}

} // namespace
} // namespace scene
