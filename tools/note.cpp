#include "tools/note.h"

#include <cstdio>
#include <vector>

namespace scene {
namespace {

std::vector<std::string>& pending() {
    static std::vector<std::string> lines;
    return lines;
}

} // namespace

void note_later(std::string line) { pending().push_back(std::move(line)); }

void say_notes() {
    for (const std::string& line : pending()) std::fprintf(stderr, "scene: %s\n", line.c_str());
    pending().clear();
}

} // namespace scene
