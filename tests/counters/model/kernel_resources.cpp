#include "tests/counters/model/kernel_resources.h"

#include <algorithm>
#include <cstdlib>
#include <cxxabi.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <sstream>

namespace scene::counters {
namespace {

constexpr std::string_view suffix = ".o.ptxas";

std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

} // namespace

std::string demangled(const std::string& symbol) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
    return status == 0 ? name.get() : symbol;
}

void ResourceTable::add(const std::string& source, std::string_view ptxas_text) {
    static const std::regex entry("Compiling entry function '([^']+)' for 'sm_([0-9]+)[a-z]?'"),
        function("Function properties for (.+)"),
        memory("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads"),
        used("Used ([0-9]+) registers"), shared("([0-9]+) bytes smem");
    std::istringstream lines{std::string(ptxas_text)};
    std::smatch found;
    Entry* kernel = nullptr;
    std::string symbol;
    bool of_entry = false; // and not of a function that it calls
    for (std::string line; std::getline(lines, line);) {
        if (std::regex_search(line, found, entry)) {
            symbol = found[1];
            kernel = &kernels_.insert({demangled(symbol), {source, std::stoi(found[2]), {}}})->second;
        } else if (!kernel) {
            continue;
        } else if (std::regex_search(line, found, function)) {
            of_entry = found[1] == symbol;
        } else if (of_entry && std::regex_search(line, found, memory)) {
            kernel->resources.stack_bytes = std::stoll(found[1]);
            kernel->resources.spill_store_bytes = std::stoll(found[2]);
            kernel->resources.spill_load_bytes = std::stoll(found[3]);
        } else if (std::regex_search(line, found, used)) {
            kernel->resources.registers = std::stoi(found[1]);
            if (std::regex_search(line, found, shared)) kernel->resources.static_shared_bytes = std::stoll(found[1]);
            kernel = nullptr;
        }
    }
}

std::optional<KernelResources> ResourceTable::find(const std::string& symbol, int architecture,
                                                   const std::vector<std::string>& sources) const {
    std::optional<KernelResources> found;
    bool of_sources = false, ambiguous = false;
    const auto [first, last] = kernels_.equal_range(demangled(symbol));
    for (auto at = first; at != last; ++at) {
        const Entry& entry = at->second;
        if (entry.architecture != architecture) continue;
        const bool here = std::find(sources.begin(), sources.end(), entry.source) != sources.end();
        if (here == of_sources && found) {
            ambiguous |= *found != entry.resources;
        } else if (here || !found) {
            found = entry.resources;
            ambiguous = false;
            of_sources = here;
        }
    }
    return ambiguous ? std::nullopt : found;
}

ResourceTable resources_of_build(const std::filesystem::path& build) {
    ResourceTable table;
    if (!std::filesystem::is_directory(build / "kernels")) return table;
    for (const auto& file : std::filesystem::recursive_directory_iterator(build / "kernels")) {
        const std::string name = file.path().string();
        if (!name.ends_with(suffix)) continue;
        const std::string source = std::filesystem::relative(file.path(), build).string();
        table.add(source.substr(0, source.size() - suffix.size()), text_of(file.path()));
    }
    return table;
}

} // namespace scene::counters
