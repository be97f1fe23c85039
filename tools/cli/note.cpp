#include "tools/cli/note.h"

#include <vector>

#include "tools/cli/standard_streams.h"

namespace scene {
namespace {

std::vector<std::string>& pending() {
    static std::vector<std::string> lines;
    return lines;
}

} // namespace

void note_later(std::string line) { pending().push_back(std::move(line)); }

void say_notes() {
    for (const std::string& line : pending()) say("scene: " + line + "\n");
    pending().clear();
}

} // namespace scene
