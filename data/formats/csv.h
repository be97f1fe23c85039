#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace scene {

struct CsvRow {
    size_t line = 0; ///< where the row begins in the file, from 1
    std::vector<std::string> fields;
};

/// A table in a text file, with a header row. Every row has as many fields as the header.
struct CsvTable {
    std::string name; ///< of the file, for errors
    char delimiter = ',';
    std::vector<std::string> header;
    std::vector<CsvRow> rows;

    /// Index of a column, -1 if there is none. Case does not count. Error: two columns have this name.
    int find(std::string_view column) const;
    /// "metadata.csv:12"
    std::string place(const CsvRow& row) const;
    /// "filename, scene_label"
    std::string header_text() const;
};

/// Parses RFC 4180: fields may be quoted, "" inside quotes is a quote, quoted fields may hold delimiters and line ends.
/// It also accepts:
/// - a byte-order mark, UTF-16, LF, CR or CRLF, and a missing last line end,
/// - tabs, semicolons or bars for commas: the most frequent in the header, or what a line `sep=;` before it names,
/// - empty fields at the end of the header or of a row.
///
/// Fields are trimmed. Rows whose fields are all empty are skipped.
/// Error, with file and line: not text, not UTF-8, an open quote, a row with another number of fields than the header,
/// no rows.
CsvTable parse_csv(std::string_view text, const std::string& name);
CsvTable read_csv(const std::filesystem::path& file);

/// The header row alone; nothing after it is parsed. A header cell must not hold a line end.
CsvTable parse_csv_header(std::string_view text, const std::string& name);
CsvTable read_csv_header(const std::filesystem::path& file);

/// The trimmed fields of one comma-separated line; none if all are empty. Errors begin with `name`.
std::vector<std::string> csv_fields(std::string_view line, const std::string& name);

/// The non-empty lines of a text file, trimmed. Error: the file cannot be read or is not UTF-8.
std::vector<std::string> read_lines(const std::filesystem::path& file);

/// `field` for a comma-separated file, quoted only where needed.
std::string csv_field(std::string_view field);

} // namespace scene
