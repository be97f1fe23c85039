#include "data/formats/csv.h"

#include <algorithm>

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
    EXPECT_EQ(table.rows[0].fields, (Fields{"a,b", "c"}));
    EXPECT_EQ(table.header_text(), "File name, label");
}

/// Only the first byte-order mark is removed; a second one is text, here the only field of the header.
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

TEST(Csv, TheSeparatorIsWhatTheHeaderHasMostOf) {
    for (const char separator : {',', ';', '\t', '|'}) {
        const std::string s(1, separator);
        const CsvTable table = parse_csv("file" + s + "\"a,,,b\"" + s + "c\nx" + s + "1" + s + "2\n", "x");
        EXPECT_EQ(table.delimiter, separator);
        EXPECT_EQ(table.header, (Fields{"file", "a,,,b", "c"}));
        EXPECT_EQ(table.rows[0].fields, (Fields{"x", "1", "2"}));
    }
    EXPECT_EQ(parse_csv("a,b;c\n1,2\n", "x").delimiter, ',') << "of equally many a comma";
    EXPECT_EQ(parse_csv("a b\n1 2\n", "x").header, (Fields{"a b"})) << "a space separates nothing";
}

TEST(Csv, ALineBeforeTheHeaderMayNameTheSeparator) {
    for (const std::string line : {"sep=;\n", "SEP=;\r\n", "\"sep=;\"\n", "\nsep=;\n\n", " sep=; \n"}) {
        const CsvTable table = parse_csv(line + "a,x;b,y\n1,1;2\n", "x");
        EXPECT_EQ(table.header, (Fields{"a,x", "b,y"})) << line;
        EXPECT_EQ(table.rows.at(0).fields, (Fields{"1,1", "2"})) << line;
        EXPECT_EQ(table.rows[0].line, static_cast<size_t>(std::count(line.begin(), line.end(), '\n')) + 2);
    }
    EXPECT_EQ(parse_csv("sep=\t\na\tb\n1\t2\n", "x").rows[0].fields, (Fields{"1", "2"}));
    EXPECT_EQ(parse_csv("sep=:\na:b\n1:2\n", "x").header, (Fields{"a", "b"}));
    EXPECT_EQ(parse_csv_header("sep=|\na|b\n", "x").header, (Fields{"a", "b"}));
    EXPECT_EQ(parse_csv("sep=a,b\n1,2\n", "x").header, (Fields{"sep=a", "b"})) << "a column of that name";
    EXPECT_TRUE(rejects("sep=;\n", {"a.csv", "empty"}));
}

TEST(Csv, FieldsAreTrimmedAsTheHeaderIs) {
    const CsvTable table =
        parse_csv(" a , b,c\n rain\t, \"x, y\" ,\"rain \"\n\xC2\xA0ri sing\xE3\x80\x80,\"sun\n\",'\n", "x");
    EXPECT_EQ(table.header, (Fields{"a", "b", "c"}));
    EXPECT_EQ(table.rows[0].fields, (Fields{"rain", "x, y", "rain"}));
    EXPECT_EQ(table.rows[1].fields, (Fields{"ri sing", "sun", "'"}));
}

TEST(Csv, RowsOfNothingAreSkipped) {
    const CsvTable table = parse_csv(" , ,\n;;\nfile,label\n,\n \n\t,  \na,1\n,,,,,\n\"\",\"\"\n\n,2\n", "x");
    EXPECT_EQ(table.header, (Fields{"file", "label"}));
    ASSERT_EQ(table.rows.size(), 2u);
    EXPECT_EQ(table.rows[0].line, 7u);
    EXPECT_EQ(table.rows[1].fields, (Fields{"", "2"}));
    EXPECT_EQ(table.rows[1].line, 11u);
    EXPECT_TRUE(rejects("a,b\n,\n , \n", {"no rows"}));
}

TEST(Csv, SeparatorsAtTheEndStandForNothing) {
    EXPECT_EQ(parse_csv("a,b\n1,2,,\n", "x").rows[0].fields, (Fields{"1", "2"}));
    EXPECT_EQ(parse_csv("a,b,,\n1,2\n", "x").rows[0].fields, (Fields{"1", "2", "", ""}));
    EXPECT_TRUE(rejects("a,b,,\n1\n", {"a.csv:2", "1 fields"}));
    EXPECT_TRUE(rejects("a,b\n1,2,,3\n", {"a.csv:2", "4 fields"}));
}

TEST(Csv, Utf16IsRead) {
    const std::string text = "a;b\nXi\xE2\x80\x99"
                             "an;\xE8\xA5\xBF\xC3\xA9\xF0\x9F\x8E\xB5\n";
    const char16_t units[] = u"a;b\nXi\u2019an;\u897F\u00E9\U0001F3B5\n";
    const auto bytes = [&](bool big_endian, bool mark) {
        std::string out = !mark ? "" : big_endian ? "\xFE\xFF" : "\xFF\xFE";
        for (const char16_t unit : std::u16string(units))
            for (const int shift : {big_endian ? 8 : 0, big_endian ? 0 : 8})
                out += static_cast<char>(unit >> shift & 0xFF);
        return out;
    };
    const CsvTable expected = parse_csv(text, "x");
    ASSERT_EQ(expected.header.size(), 2u);
    for (const bool big_endian : {true, false})
        for (const bool mark : {true, false}) {
            const CsvTable table = parse_csv(bytes(big_endian, mark), "x");
            EXPECT_EQ(table.header, expected.header);
            EXPECT_EQ(table.rows[0].fields, expected.rows[0].fields);
        }
    EXPECT_TRUE(rejects(std::string("\xFF\xFE"
                                    "a\0\n\0\x00\xD8\n\0",
                                    10),
                        {"a.csv:2", "not UTF-8"}))
        << "half a character";
}

TEST(Csv, TwoColumnsOfOneNameAreAnErrorWhenItIsLookedFor) {
    const CsvTable table = parse_csv("a,b,B\n1,2,3\n", "a.csv");
    EXPECT_EQ(table.find("a"), 0);
    EXPECT_TRUE(fails_with([&] { table.find("b"); }, {"a.csv", "two columns are called 'b'"}));
}

TEST(Csv, OneLineAndLinesOfText) {
    EXPECT_EQ(csv_fields("rain, \"bus, tram\",a;b,", "x"), (Fields{"rain", "bus, tram", "a;b", ""}));
    EXPECT_EQ(csv_fields(" , ", "x"), Fields{});
    EXPECT_TRUE(fails_with([] { csv_fields("a\nb", "--classes"); }, {"--classes", "several lines"}));
    test::TemporaryFolder folder;
    test::write_text(folder / "lines", "\xEF\xBB\xBF rain \r\n\r\nbus, tram\nlast");
    EXPECT_EQ(read_lines(folder / "lines"), (Fields{"rain", "bus, tram", "last"}));
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
    for (const std::string field :
         {"plain", "a,b", "say \"hi\"", "two\nlines", "Xi'an", "\"", "a\rb", "a;b", "a|b", "a\tb"})
        EXPECT_EQ(parse_csv("a,b\n" + csv_field(field) + ",x\n", "x").rows[0].fields[0], field);
    EXPECT_EQ(csv_field("Xi'an"), "Xi'an");
}

} // namespace
} // namespace scene
