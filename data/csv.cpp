#include "data/csv.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

#include "kernels/error.h"

namespace scene {
namespace {

bool same_without_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Bytes of the UTF-8 character at `i`, 0 if there is none (also for the NUL of binary files).
size_t utf8_length(std::string_view text, size_t i) {
    const auto byte = [&](size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const auto continues = [&](size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    if (lead == 0) return 0;
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead < 0xE0) return continues(1) ? 2 : 0;
    if ((lead & 0xF0u) == 0xE0u) {
        const bool overlong = lead == 0xE0 && byte(1) < 0xA0, surrogate = lead == 0xED && byte(1) >= 0xA0;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const bool overlong = lead == 0xF0 && byte(1) < 0x90, beyond = lead == 0xF4 && byte(1) >= 0x90;
        return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

void require_utf8(std::string_view text, const std::string& name) {
    size_t line = 1;
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(text, i);
        if (length == 0) fail("{}:{}: not UTF-8 text; save the file as CSV in UTF-8", name, line);
        if (text[i] == '\n') ++line;
        i += length;
    }
}

/// Cuts text into records, one `next` at a time.
class Scanner {
public:
    Scanner(std::string_view text, char delimiter, const std::string& name)
        : text_(text), delimiter_(delimiter), name_(name) {}

    /// The next row that is not an empty line; false at the end.
    bool next(CsvRow& row) {
        while (!at_end() && is_line_end()) skip_line_end();
        if (at_end()) return false;
        row = {line_, {}};
        row.fields.push_back(field());
        while (!at_end() && text_[at_] == delimiter_) {
            ++at_;
            row.fields.push_back(field());
        }
        if (!at_end()) skip_line_end();
        return true;
    }

private:
    bool at_end() const { return at_ == text_.size(); }
    bool is_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }
    void skip_line_end() {
        if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
        ++at_;
        ++line_;
    }
    std::string field() {
        if (!at_end() && text_[at_] == '"') return quoted();
        const size_t begin = at_;
        while (!at_end() && text_[at_] != delimiter_ && !is_line_end()) ++at_;
        return std::string(text_.substr(begin, at_ - begin));
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
        if (!at_end() && text_[at_] != delimiter_ && !is_line_end())
            fail("{}:{}: text after a closing quote; double the quotes inside a quoted field", name_, line_);
        return field;
    }

    std::string_view text_;
    char delimiter_;
    const std::string& name_;
    size_t at_ = 0, line_ = 1;
};

char delimiter_of(std::string_view text) {
    const std::string_view first_line = text.substr(0, text.find_first_of("\r\n", text.find_first_not_of("\r\n")));
    const auto tabs = std::count(first_line.begin(), first_line.end(), '\t');
    return tabs > std::count(first_line.begin(), first_line.end(), ',') ? '\t' : ',';
}

std::string_view without_mark(std::string_view text) {
    return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

/// The header of a text that has no byte-order mark.
CsvTable header_of(std::string_view text, const std::string& name) {
    CsvTable table;
    table.name = name;
    table.delimiter = delimiter_of(text);
    const size_t begin = text.find_first_not_of("\r\n");
    if (begin == std::string_view::npos) fail("{}: empty; expected a header row and one row per clip", name);
    const std::string_view first_line = text.substr(begin, text.find_first_of("\r\n", begin) - begin);
    require_utf8(first_line, name);
    CsvRow row;
    Scanner(first_line, table.delimiter, name).next(row);
    for (const std::string& cell : row.fields) table.header.push_back(trimmed(cell));
    return table;
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
    for (size_t i = 0; i < header.size(); ++i)
        if (same_without_case(header[i], column)) return static_cast<int>(i);
    return -1;
}

std::string CsvTable::place(const CsvRow& row) const { return name + ":" + std::to_string(row.line); }

std::string CsvTable::header_text() const {
    std::string out;
    for (const std::string& cell : header) out += (out.empty() ? "" : ", ") + cell;
    return out;
}

CsvTable parse_csv_header(std::string_view text, const std::string& name) {
    return header_of(without_mark(text), name);
}

CsvTable parse_csv(std::string_view text, const std::string& name) {
    text = without_mark(text);
    require_utf8(text, name);
    CsvTable table = header_of(text, name);
    Scanner scanner(text, table.delimiter, name);
    CsvRow row;
    scanner.next(row);
    while (scanner.next(row)) {
        if (row.fields.size() != table.header.size())
            fail("{}: {} fields, but the header has {} ({}); mend the row", table.place(row), row.fields.size(),
                 table.header.size(), table.header_text());
        table.rows.push_back(std::move(row));
    }
    if (table.rows.empty()) fail("{}: has a header but no rows; add one row per clip", name);
    return table;
}

CsvTable read_csv(const std::filesystem::path& file) { return parse_csv(read_whole(file, SIZE_MAX), file.string()); }

CsvTable read_csv_header(const std::filesystem::path& file) {
    return parse_csv_header(read_whole(file, 1 << 16), file.string());
}

std::string csv_field(std::string_view field) {
    if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(field);
    std::string out = "\"";
    for (char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

} // namespace scene
