#include "tests/counters/source_lines.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include <cxxabi.h>
#include <unistd.h>

#include "kernels/error.h"

extern "C" const char __executable_start; // the linker's

namespace scene::counters {
namespace {

using std::filesystem::path;

/// The path as the repository has it. A compiler cache may have compiled the file in another clone.
std::string relative_to_here(const std::string& file) {
    const std::string clean = path(file).lexically_normal().string();
    for (size_t slash = clean.find('/'); slash != std::string::npos; slash = clean.find('/', slash + 1))
        if (std::filesystem::exists(clean.substr(slash + 1))) return clean.substr(slash + 1);
    return clean;
}

std::vector<std::string> lines_of_command(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    if (!pipe) fail("addr2line cannot run; install binutils");
    std::vector<std::string> lines(1);
    for (int character = std::fgetc(pipe.get()); character != EOF; character = std::fgetc(pipe.get())) {
        if (character == '\n') {
            lines.emplace_back();
        } else {
            lines.back() += static_cast<char>(character);
        }
    }
    lines.pop_back();
    return lines;
}

} // namespace

SourceLines::SourceLines(const std::vector<const void*>& addresses) {
    if (addresses.empty()) return;
    const path list = std::filesystem::temp_directory_path() / fmt::format("scene-addresses-{}", getpid());
    {
        std::ofstream file(list);
        // A call returns to the instruction behind it.
        for (const void* address : addresses)
            file << fmt::format("{:#x}\n", static_cast<const char*>(address) - 1 - &__executable_start);
    }
    const std::string program = fmt::format("/proc/{}/exe", getpid()); // also when the file was replaced since
    const std::vector<std::string> lines =
        lines_of_command(fmt::format("addr2line -a -f -i -e '{}' < '{}'", program, list.string()));
    std::filesystem::remove(list);
    // For each address "0x...", then for each frame the function and "file:line".
    auto next = addresses.begin();
    Place* place = nullptr;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].starts_with("0x")) {
            if (next == addresses.end()) break;
            place = &places_[*next++];
            place->frames.clear();
            continue;
        }
        if (!place || i + 1 == lines.size()) continue;
        place->function = lines[i++];
        const size_t colon = lines[i].rfind(':');
        place->frames.push_back({relative_to_here(lines[i].substr(0, colon)), std::atoi(lines[i].c_str() + colon + 1)});
    }
    if (next != addresses.end()) fail("addr2line does not know the lines of {}; install binutils", program);
}

const SourceLines::Place& SourceLines::place(const void* address) const {
    static const Place nowhere;
    const auto found = places_.find(address);
    return found == places_.end() ? nowhere : found->second;
}
const std::vector<Frame>& SourceLines::frames(const void* address) const { return place(address).frames; }
const std::string& SourceLines::function(const void* address) const { return place(address).function; }

std::string kernel_name(const std::string& symbol) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                      std::free);
    std::string name = status == 0 ? text.get() : symbol;
    const std::string anonymous = "(anonymous namespace)::";
    for (size_t at = name.find(anonymous); at != std::string::npos; at = name.find(anonymous))
        name.erase(at, anonymous.size());
    int depth = 0;
    size_t begin = 0, end = name.size();
    for (size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '<') ++depth;
        if (name[i] == '>') --depth;
        if (depth == 0 && name[i] == ' ') begin = i + 1; // behind the type that a template returns
        if (depth == 0 && name[i] == '(') {
            end = i;
            break;
        }
    }
    return name.substr(begin, end - begin);
}

} // namespace scene::counters
