#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace scene {

struct CsvRow {
    size_t line = 0; ///< of the file, from 1, where the row begins
    std::vector<std::string> fields;
};

/// A table in a text file, with a header row. Every row has as many fields as the header.
struct CsvTable {
    std::string name; ///< of the file, for errors
    char delimiter = ',';
    std::vector<std::string> header;
    std::vector<CsvRow> rows;

    /// Index of a column, -1 if there is none; an Error if there are two. Header cells are compared without case.
    int find(std::string_view column) const;
    /// "metadata.csv:12"
    std::string place(const CsvRow& row) const;
    /// "filename, scene_label"
    std::string header_text() const;
};

/// RFC 4180: fields may be quoted, "" inside quotes is a quote, quoted fields may hold delimiters and line ends. Also
/// accepted: a byte-order mark, UTF-16, LF or CRLF, a missing last line end, and in place of commas tabs, semicolons or
/// bars (what the header has most of, or what a line `sep=;` before it says). Fields are trimmed. Rows in which all
/// fields are empty are skipped, as are empty fields behind the header's last. Errors name file and line: not text, not
/// UTF-8, an open quote, a row with another number of fields than the header, no rows at all.
CsvTable parse_csv(std::string_view text, const std::string& name);
CsvTable read_csv(const std::filesystem::path& file);

/// The header row alone, without rows; what follows it is not looked at. A quoted header cell holds no line end.
CsvTable parse_csv_header(std::string_view text, const std::string& name);
CsvTable read_csv_header(const std::filesystem::path& file);

/// The trimmed fields of one comma-separated line; none if all are empty. Errors begin with `name`.
std::vector<std::string> csv_fields(std::string_view line, const std::string& name);

/// The trimmed lines of a text file in which something is written. Errors as for read_csv.
std::vector<std::string> read_lines(const std::filesystem::path& file);

/// `field` as it must stand in a comma-separated file: quoted only where needed.
std::string csv_field(std::string_view field);

} // namespace scene
