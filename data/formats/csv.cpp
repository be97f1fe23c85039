#include "data/formats/csv.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>

#include "data/formats/text_encoding.h"
#include "kernels/error.h"

namespace scene {
namespace {

bool same_without_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// Spaces of all widths and line ends, which spreadsheets and web pages leave around a value.
constexpr std::string_view blanks[] = {" ", "\t", "\r", "\n", "\v", "\f", "\xC2\xA0", "\xE3\x80\x80"};

std::string trimmed(std::string_view text) {
    for (bool again = true; again;) {
        again = false;
        for (const std::string_view blank : blanks) {
            if (text.starts_with(blank)) {
                text.remove_prefix(blank.size());
                again = true;
            }
            if (text.ends_with(blank)) {
                text.remove_suffix(blank.size());
                again = true;
            }
        }
    }
    return std::string(text);
}

/// Splits text into rows, one per call of `next`.
class Scanner {
public:
    Scanner(std::string_view text, char delimiter, const std::string& name, size_t line = 1)
        : text_(text), delimiter_(delimiter), name_(name), line_(line) {}

    /// The next row with a field that is not empty; false at the end.
    bool next(CsvRow& row) {
        const auto is_empty = [](const std::string& field) { return field.empty(); };
        do {
            while (!at_end() && is_line_end()) skip_line_end();
            if (at_end()) return false;
            row = {line_, {}};
            row.fields.push_back(field());
            while (!at_end() && text_[at_] == delimiter_) {
                ++at_;
                row.fields.push_back(field());
            }
            if (!at_end()) skip_line_end();
        } while (std::all_of(row.fields.begin(), row.fields.end(), is_empty));
        return true;
    }

private:
    bool at_end() const { return at_ == text_.size(); }
    bool is_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }
    bool is_blank() const { return (text_[at_] == ' ' || text_[at_] == '\t') && text_[at_] != delimiter_; }
    void skip_line_end() {
        if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
        ++at_;
        ++line_;
    }
    std::string field() {
        const size_t begin = at_;
        while (!at_end() && is_blank()) ++at_;
        if (!at_end() && text_[at_] == '"') return trimmed(quoted());
        while (!at_end() && text_[at_] != delimiter_ && !is_line_end()) ++at_;
        return trimmed(text_.substr(begin, at_ - begin));
    }
    std::string quoted() {
        const size_t opened = line_;
        std::string field;
        for (++at_;; ++at_) {
            if (at_end()) fail("{}:{}: a quote is opened and never closed; close it", name_, opened);
            if (text_[at_] == '\n') ++line_;
            if (text_[at_] != '"') {
                field += text_[at_];
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
                field += '"';
                ++at_;
            } else {
                break;
            }
        }
        ++at_;
        while (!at_end() && is_blank()) ++at_;
        if (!at_end() && text_[at_] != delimiter_ && !is_line_end())
            fail("{}:{}: text after a closing quote; double the quotes inside a quoted field", name_, line_);
        return field;
    }

    std::string_view text_;
    char delimiter_;
    const std::string& name_;
    size_t at_ = 0, line_;
};

constexpr std::string_view separators = ",\t;|";

/// The most frequent separator outside quotes in the header; a tie goes to the first in `separators`.
char delimiter_of(std::string_view line) {
    std::array<size_t, separators.size()> counts{};
    bool quoted = false;
    for (const char c : line) {
        if (c == '"') quoted = !quoted;
        const size_t which = separators.find(c);
        if (!quoted && which != std::string_view::npos) ++counts[which];
    }
    return separators[static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin())];
}

/// The separator that a first line like `sep=;` names, as Excel reads it; 0 for another line.
char named_separator(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('"') && line.ends_with('"') && line.size() > 1) line = line.substr(1, line.size() - 2);
    const bool names =
        line.size() >= 5 && same_without_case(line.substr(0, 4), "sep=") && trimmed(line.substr(5)).empty();
    return names && line[4] != '"' && !std::isalnum(static_cast<unsigned char>(line[4])) ? line[4] : '\0';
}

struct Layout {
    char delimiter = ',';
    size_t begin = 0; ///< of the header
    size_t line = 1;  ///< of the header
};

bool is_empty_row(std::string_view line) {
    return line.find_first_not_of(std::string(separators) + " \v\f") == std::string_view::npos;
}

/// The first non-empty line of `text` from `at` on. Sets `at` to its begin and adds the lines skipped to `line`.
std::string_view first_line(std::string_view text, size_t& at, size_t& line) {
    for (;;) {
        const size_t end = std::min(text.find_first_of("\r\n", at), text.size());
        if (end == text.size() || !is_empty_row(text.substr(at, end - at))) return text.substr(at, end - at);
        at = end + (text.substr(end).starts_with("\r\n") ? 2 : 1);
        ++line;
    }
}

Layout layout_of(std::string_view text) {
    Layout layout;
    std::string_view line = first_line(text, layout.begin, layout.line);
    if (const char separator = named_separator(line)) {
        layout.begin += line.size();
        first_line(text, layout.begin, layout.line);
        layout.delimiter = separator;
    } else {
        layout.delimiter = delimiter_of(line);
    }
    return layout;
}

CsvTable header_of(std::string_view text, const Layout& layout, const std::string& name) {
    CsvTable table;
    table.name = name;
    table.delimiter = layout.delimiter;
    const std::string_view line = text.substr(layout.begin, text.find_first_of("\r\n", layout.begin) - layout.begin);
    require_utf8(line, name);
    CsvRow row;
    if (!Scanner(line, layout.delimiter, name, layout.line).next(row))
        fail("{}: empty; expected a header row and one row per clip", name);
    table.header = std::move(row.fields);
    return table;
}

/// Makes a row as long as the header by empty fields at its end, which spreadsheets add to the header, to the rows or
/// to some of them.
void even_out(std::vector<std::string>& fields, const std::vector<std::string>& header) {
    while (fields.size() > header.size() && fields.back().empty()) fields.pop_back();
    size_t named = header.size();
    while (named > 0 && header[named - 1].empty()) --named;
    if (fields.size() >= named && fields.size() < header.size()) fields.resize(header.size());
}

std::string read_whole(const std::filesystem::path& file, size_t limit) {
    if (std::filesystem::is_directory(file)) fail("{}: a folder, where a CSV file is expected", file.string());
    std::ifstream in(file, std::ios::binary);
    if (!in) fail("{}: cannot be opened; check the path and its permissions", file.string());
    std::string text;
    char block[1 << 16];
    while (text.size() < limit && (in.read(block, sizeof block), in.gcount() > 0))
        text.append(block, static_cast<size_t>(in.gcount()));
    if (in.bad()) fail("{}: cannot be read; check the disk", file.string());
    return text;
}

} // namespace

int CsvTable::find(std::string_view column) const {
    int found = -1;
    for (size_t i = 0; i < header.size(); ++i) {
        if (!same_without_case(header[i], column)) continue;
        if (found >= 0) fail("{}: two columns are called '{}'; rename or remove one of them", name, column);
        found = static_cast<int>(i);
    }
    return found;
}

std::string CsvTable::place(const CsvRow& row) const { return name + ":" + std::to_string(row.line); }

std::string CsvTable::header_text() const {
    std::string out;
    for (const std::string& cell : header) out += (out.empty() ? "" : ", ") + cell;
    return out;
}

CsvTable parse_csv_header(std::string_view bytes, const std::string& name) {
    const std::string text = to_utf8(bytes);
    return header_of(text, layout_of(text), name);
}

CsvTable parse_csv(std::string_view bytes, const std::string& name) {
    const std::string text = to_utf8(bytes);
    require_utf8(text, name);
    const Layout layout = layout_of(text);
    CsvTable table = header_of(text, layout, name);
    Scanner scanner(std::string_view(text).substr(layout.begin), table.delimiter, name, layout.line);
    CsvRow row;
    scanner.next(row);
    while (scanner.next(row)) {
        even_out(row.fields, table.header);
        if (row.fields.size() != table.header.size())
            fail("{}: {} fields, but the header has {} ({}); mend the row", table.place(row), row.fields.size(),
                 table.header.size(), table.header_text());
        table.rows.push_back(std::move(row));
    }
    if (table.rows.empty()) fail("{}: has a header but no rows; add one row per clip", name);
    return table;
}

std::vector<std::string> csv_fields(std::string_view line, const std::string& name) {
    CsvRow row;
    Scanner scanner(line, ',', name);
    if (!scanner.next(row)) return {};
    CsvRow more;
    if (scanner.next(more)) fail("{}: several lines, where one is expected", name);
    return row.fields;
}

CsvTable read_csv(const std::filesystem::path& file) { return parse_csv(read_whole(file, SIZE_MAX), file.string()); }

CsvTable read_csv_header(const std::filesystem::path& file) {
    return parse_csv_header(read_whole(file, 1 << 16), file.string());
}

std::vector<std::string> read_lines(const std::filesystem::path& file) {
    const std::string text = to_utf8(read_whole(file, SIZE_MAX));
    require_utf8(text, file.string());
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find_first_of("\r\n", at), text.size());
        if (std::string line = trimmed(text.substr(at, end - at)); !line.empty()) lines.push_back(std::move(line));
        at = end + 1;
    }
    return lines;
}

std::string csv_field(std::string_view field) {
    if (field.find_first_of(",;|\t\"\r\n") == std::string_view::npos) return std::string(field);
    std::string out = "\"";
    for (char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

} // namespace scene
