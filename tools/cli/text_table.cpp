#include "tools/cli/text_table.h"

#include <algorithm>

#include "kernels/error.h"

namespace scene {
namespace {

/// Characters that a terminal shows: bytes that do not continue a UTF-8 sequence.
size_t width_of(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

} // namespace

TextTable::TextTable(std::vector<std::string> header, std::vector<size_t> left)
    : rows_{std::move(header)}, left_(std::move(left)) {}

void TextTable::add(std::vector<std::string> row) {
    SCENE_CHECK(row.size() == rows_.front().size(), "a row has as many cells as the header");
    rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
    std::vector<size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_)
        for (size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], width_of(row[column]));
    std::string out;
    for (size_t index = 0; index < rows_.size(); ++index) {
        std::string line;
        for (size_t column = 0; column < widths.size(); ++column) {
            const std::string& cell = rows_[index][column];
            const std::string padding(widths[column] - width_of(cell), ' ');
            const bool left = std::find(left_.begin(), left_.end(), column) != left_.end();
            line += (column ? "  " : "") + (left ? cell + padding : padding + cell);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
        if (index == 0) {
            size_t total = 2 * (widths.size() - 1);
            for (size_t width : widths) total += width;
            out += std::string(total, '-') + "\n";
        }
    }
    return out;
}

std::string bytes_text(double bytes) {
    if (bytes >= 1e9) return fmt::format("{:.2f} GB", bytes / 1e9);
    if (bytes >= 1e6) return fmt::format("{:.1f} MB", bytes / 1e6);
    if (bytes >= 1e3) return fmt::format("{:.1f} kB", bytes / 1e3);
    return fmt::format("{:.0f} B", bytes);
}

} // namespace scene
