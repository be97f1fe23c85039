#include "data/formats/dataset.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "data/audio/audio_files.h"
#include "data/formats/dataset_format.h"
#include "data/formats/table_columns.h"
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

void require_usable_classes(const std::vector<std::string>& classes) {
    std::set<std::string> seen;
    for (const std::string& name : classes) {
        if (name.empty()) fail("--classes: a name is empty; write A,B,C");
        if (!seen.insert(name).second) fail("--classes: '{}' stands twice; write every name once", name);
    }
}

Dataset read_table(const fs::path& file, const DatasetOptions& options) {
    const CsvTable table = read_csv(file);
    const TableFormat* format = recognised_format(table, options);
    if (!format && std::any_of(table.header.begin(), table.header.end(), is_audio_name))
        fail("{}: has no header: its first row is {}; write one before it, such as file,label", file.string(),
             table.header_text());
    if (!format)
        fail("{}: wrong header: found {}; expected {}", file.string(), table.header_text(), expected_headers(options));
    if (format != &table_format && !(options.classes.empty() && options.columns.empty()))
        fail("{}: read as {}, which has classes and columns of its own; leave --classes and --column out, or add "
             "--format csv",
             file.string(), format->name);
    return format->read(table, options);
}

/// Whether the file is a table, other than the list of bad clips that `scene prepare` writes beside a store.
bool is_table_name(const fs::path& file) {
    const std::string name = folded_name(file.filename().string());
    return (name.ends_with(".csv") || name.ends_with(".tsv")) && !name.ends_with(".bad.csv");
}

std::vector<fs::path> tables_in(const fs::path& folder) {
    std::vector<fs::path> tables;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
        if (is_table_name(entry.path()) && !is_ignored_name(entry.path())) tables.push_back(entry.path());
    std::sort(tables.begin(), tables.end());
    return tables;
}

/// How likely a table is a dataset's metadata. 3: it has a known dataset's header; 2: files and labels; 1: files only;
/// 0: none of these.
int likelihood(const fs::path& table, const DatasetOptions& options) {
    try {
        const CsvTable header = read_csv_header(table);
        const TableFormat* format = recognised_format(header, options);
        if (format == &table_format) return has_column(Role::Label, header, options) ? 2 : 1;
        return format ? 3 : 0;
    } catch (const Error&) { return 0; } // not a table at all; another file may be
}

/// The tables with the highest likelihood, and that likelihood.
std::pair<std::vector<fs::path>, int> likeliest_tables(const std::vector<fs::path>& tables,
                                                       const DatasetOptions& options) {
    std::pair<std::vector<fs::path>, int> best{{}, 1};
    for (const fs::path& table : tables) {
        const int this_one = likelihood(table, options);
        if (this_one > best.second) best = {{}, this_one};
        if (this_one == best.second) best.first.push_back(table);
    }
    return best;
}

/// Whether class folders lie beside a list of files without labels, which would hide them.
bool says_less_than_folders(const fs::path& folder, const DatasetOptions& options) {
    const bool may_be_folders = options.format == "auto" && options.columns.empty() && options.audio.empty();
    return may_be_folders && !fs::is_directory(folder / "audio") && has_class_folders(folder, 2);
}

Dataset read_folder(const fs::path& folder, const DatasetOptions& options) {
    if (options.format == "folder") return read_class_folders(folder, options);
    std::vector<fs::path> tables = tables_in(folder);
    if (tables.empty()) tables = tables_in(folder / "meta");
    const auto [recognised, likely] = likeliest_tables(tables, options);
    if (!recognised.empty() && likely == 1 && says_less_than_folders(folder, options)) {
        Dataset dataset = read_class_folders(folder, options);
        dataset.notes.push_back(recognised[0].string() + " has no labels and was not used; the class folders were");
        return dataset;
    }
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
    require_usable_classes(options.classes);
    if (!fs::exists(path)) fail("{}: there is no such file or folder; check the path", path.string());
    if (!options.audio.empty() && !fs::is_directory(options.audio))
        fail("{}: is not a folder of audio files; check --audio", options.audio.string());
    if (fs::is_directory(path)) return read_folder(path, options);
    if (options.format == "folder") fail("{}: a file, where a folder of class folders is expected", path.string());
    return read_table(path, options);
}

} // namespace scene
