#include "data/dataset.h"

#include <algorithm>
#include <array>

#include "data/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

/// In the order in which headers are tried.
constexpr std::array<const TableFormat*, 4> table_formats = {&cas2023_format, &esc50_format, &tau_format,
                                                             &table_format};

const TableFormat* recognised_format(const CsvTable& header, const DatasetOptions& options) {
    if (options.format == "auto" && !options.columns.empty())
        return table_format.recognises(header, options) ? &table_format : nullptr;
    for (const TableFormat* format : table_formats)
        if ((options.format == "auto" || options.format == format->name) && format->recognises(header, options))
            return format;
    return nullptr;
}

std::string expected_headers(const DatasetOptions& options) {
    std::string out;
    for (const TableFormat* format : table_formats)
        if (options.format == "auto" || options.format == format->name)
            out += (out.empty() ? "" : "; ") + std::string(format->expected_header);
    return out;
}

Dataset read_table(const fs::path& file, const DatasetOptions& options) {
    const CsvTable table = read_csv(file);
    const TableFormat* format = recognised_format(table, options);
    if (!format)
        fail("{}: wrong header: found {}; expected {}", file.string(), table.header_text(), expected_headers(options));
    return format->read(table, options);
}

std::vector<fs::path> tables_in(const fs::path& folder) {
    std::vector<fs::path> tables;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().extension() == ".csv" || entry.path().extension() == ".tsv") tables.push_back(entry.path());
    std::sort(tables.begin(), tables.end());
    return tables;
}

std::vector<fs::path> recognised_tables(const std::vector<fs::path>& tables, const DatasetOptions& options) {
    std::vector<fs::path> out;
    for (const fs::path& table : tables) {
        try {
            if (recognised_format(read_csv_header(table), options)) out.push_back(table);
        } catch (const Error&) { // not a table at all; another file may be
        }
    }
    return out;
}

Dataset read_folder(const fs::path& folder, const DatasetOptions& options) {
    if (options.format == "folder") return read_class_folders(folder, options);
    std::vector<fs::path> tables = tables_in(folder);
    if (tables.empty()) tables = tables_in(folder / "meta");
    const std::vector<fs::path> recognised = recognised_tables(tables, options);
    if (recognised.size() > 1) {
        std::vector<std::string> names;
        for (const fs::path& table : recognised) names.push_back(table.filename().string());
        fail("{}: holds several metadata files ({}); name one of them", folder.string(), listed(names));
    }
    if (recognised.size() == 1) return read_table(recognised[0], options);
    if (options.format == "auto" && has_class_folders(folder)) return read_class_folders(folder, options);
    if (!tables.empty()) return read_table(tables[0], options); // says what is wrong with its header
    fail("{}: no dataset here; expected a CSV file with the header {}, or one folder of audio per class",
         folder.string(), expected_headers(options));
}

} // namespace

int Dataset::city_index(const std::string& city) const {
    const auto found = std::find(cities.begin(), cities.end(), city);
    return city.empty() || found == cities.end() ? -1 : static_cast<int>(found - cities.begin());
}

Dataset read_dataset(const fs::path& path, const DatasetOptions& options) {
    const bool known = options.format == "auto" || options.format == "folder" ||
                       std::any_of(table_formats.begin(), table_formats.end(),
                                   [&](const TableFormat* format) { return format->name == options.format; });
    if (!known)
        fail("--format {}: not a dataset format; choose auto, cas2023, esc50, tau, table or folder", options.format);
    if (!fs::exists(path)) fail("{}: there is no such file or folder; check the path", path.string());
    if (!options.audio.empty() && !fs::is_directory(options.audio))
        fail("{}: is not a folder of audio files; check --audio", options.audio.string());
    if (fs::is_directory(path)) return read_folder(path, options);
    if (options.format == "folder") fail("{}: a file, where a folder of class folders is expected", path.string());
    return read_table(path, options);
}

} // namespace scene
