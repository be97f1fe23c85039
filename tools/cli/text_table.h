#pragma once

#include <string>
#include <vector>

namespace scene {

/// Columns for a terminal: the first is left-aligned, the others right-aligned unless named in `left`.
class TextTable {
public:
    explicit TextTable(std::vector<std::string> header, std::vector<size_t> left = {0});

    void add(std::vector<std::string> row);
    /// The header, a rule and the rows, each ending with a line feed.
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<size_t> left_;
};

/// "1.23 GB", "45.6 MB", "789 B"
std::string bytes_text(double bytes);

} // namespace scene
