#include "train/config/nearest_name.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace scene {
namespace {

constexpr size_t most_edits = 3, shortest_beginning = 3;

std::string without_dashes(const std::string& name) {
    return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

} // namespace

size_t edit_distance(const std::string& a, const std::string& b) {
    std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = std::exchange(last, row);
    }
    return last.back();
}

std::string nearest_name(const std::string& given, const std::vector<std::string>& names) {
    const std::string word = without_dashes(given);
    std::string nearest, begun;
    size_t distance = std::min(most_edits, word.size() / 2) + 1, beginnings = 0;
    for (const std::string& name : names) {
        const std::string candidate = without_dashes(name);
        const size_t here = edit_distance(word, candidate);
        if (here < distance) distance = here, nearest = name;
        if (word.size() >= shortest_beginning && candidate.starts_with(word)) begun = name, ++beginnings;
    }
    return nearest.empty() && beginnings == 1 ? begun : nearest;
}

} // namespace scene
