#include "data/formats/table_columns.h"

#include <algorithm>
#include <vector>

#include "data/formats/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

/// The usual names of every role, folded, the most usual first.
const std::array<std::vector<std::string_view>, role_names.size()> usual_names = {{
    {"filename",     "filepath",  "path",  "audiofile",     "audiofilename", "audiofilepath",
     "audiopath",    "audio",     "fname", "slicefilename", "wav",           "wavfile",
     "wavfilename",  "wavpath",   "clip",  "clipname",      "clippath",      "clipfile",
     "relativepath", "soundfile", "sound", "recording",     "files"},
    {"scenelabel", "classname",  "classlabel",  "class",     "categoryname", "category", "scenename",
     "scene",      "targetname", "targetlabel", "labelname", "soundclass",   "labels",   "primarylabel",
     "target",     "tag",        "annotation",  "classid",   "categoryid",   "labelid",  "targetid"},
    {"cityname", "town", "location"},
    {"recordtime", "recordingtime", "recordedat", "datetime", "recorddate", "recordingdate", "timestamp", "date"},
    {"foldid", "foldnumber", "cvfold", "kfold"},
    {"sessionid", "sessionname", "recordingsession", "srcfile", "fsid"},
    {"deviceid", "devicename", "recordingdevice", "microphone", "mic", "recorder", "phone", "sourcelabel"},
}};

/// The columns with a usual name of the role, the most usual first.
std::vector<int> usual_columns(Role role, const CsvTable& table) {
    std::vector<int> out;
    for (const std::string_view name : usual_names[static_cast<size_t>(role)])
        for (size_t i = 0; i < table.header.size(); ++i)
            if (folded_name(table.header[i]) == name) out.push_back(static_cast<int>(i));
    return out;
}

std::string quoted(const CsvTable& table, int column) { return "'" + table.header[static_cast<size_t>(column)] + "'"; }

} // namespace

TableColumns::TableColumns(const CsvTable& table, const DatasetOptions& options) {
    for (const auto& [role, column] : options.columns)
        if (std::find(role_names.begin(), role_names.end(), role) == role_names.end())
            fail("--column {}={}: '{}' is not one of file, label, city, time, fold, session, device", role, column,
                 role);
    for (size_t role = 0; role < role_names.size(); ++role) find(static_cast<Role>(role), table, options);
}

void TableColumns::find(Role role, const CsvTable& table, const DatasetOptions& options) {
    const auto index = static_cast<size_t>(role);
    const std::string name(role_names[index]);
    const auto mentioned = options.columns.find(name);
    const std::string& wanted = mentioned == options.columns.end() ? name : mentioned->second;
    int& column = column_[index];
    column = table.find(wanted);
    if (column >= 0) return;
    if (mentioned != options.columns.end())
        fail("{}: has no column '{}' for {}; the columns are {}", table.name, wanted, name, table.header_text());
    for (const int usual : usual_columns(role, table)) {
        if (column >= 0) {
            chosen_ += " (not " + quoted(table, usual) + ")";
        } else if (holds(role, usual, table)) {
            column = usual;
            chosen_ += (chosen_.empty() ? "" : ", ") + name + " from " + quoted(table, usual);
        }
    }
}

bool TableColumns::holds(Role role, int column, const CsvTable& table) {
    if (role != Role::Time && role != Role::Fold) return true;
    for (const CsvRow& row : table.rows) {
        const std::string_view cell = field_of(row, column);
        if (cell.empty() || (role == Role::Time ? parse_record_time(cell).has_value() : fold_in(cell).has_value()))
            continue;
        unused_ += "; " + quoted(table, column) + " is no " + std::string(role_names[static_cast<size_t>(role)]) +
                   " (row " + std::to_string(row.line) + " has '" + std::string(cell) + "')";
        return false;
    }
    return true;
}

std::string TableColumns::note() const {
    if (chosen_.empty() && unused_.empty()) return "";
    return "columns by their names: " + (chosen_.empty() ? unused_.substr(2) : chosen_ + unused_) +
           "; --column says otherwise";
}

bool has_column(Role role, const CsvTable& header, const DatasetOptions& options) {
    const std::string name(role_names[static_cast<size_t>(role)]);
    const auto mentioned = options.columns.find(name);
    if (mentioned != options.columns.end()) return header.find(mentioned->second) >= 0;
    return header.find(name) >= 0 || !usual_columns(role, header).empty();
}

} // namespace scene
