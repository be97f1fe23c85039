#include "tests/counters/model/machine_code.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

namespace scene::counters {
namespace {

constexpr std::string_view suffix = ".sass";
constexpr int zero_register = 255; // RZ is not written as a number

/// "/home/me/scene/./kernels/adam/cuda.cu" as the repository has it.
std::string in_repository(const std::string& path) {
    const size_t at = path.rfind("/kernels/");
    return at == std::string::npos ? path : path.substr(at + 1);
}

/// `//## File "a.h", line 3 inlined at "b.cu", line 7`: the first frame.
Frame frame_of(std::string_view line) {
    Frame frame;
    const size_t open = line.find('"'), close = line.find('"', open + 1), number = line.find("line ", close);
    if (number == std::string_view::npos) return frame;
    frame.file = in_repository(std::string(line.substr(open + 1, close - open - 1)));
    std::from_chars(line.data() + number + 5, line.data() + line.size(), frame.line);
    return frame;
}

/// The numbers of the registers in an operand list; "R12.64" is two.
std::vector<int> registers_in(std::string_view text) {
    std::vector<int> all;
    for (size_t at = 0; (at = text.find('R', at)) != std::string_view::npos; ++at) {
        const bool starts = at == 0 || !std::isalnum(static_cast<unsigned char>(text[at - 1]));
        int number = 0;
        const auto [end, error] = std::from_chars(text.data() + at + 1, text.data() + text.size(), number);
        if (!starts || error != std::errc()) continue;
        all.push_back(number);
        if (std::string_view(end, static_cast<size_t>(text.data() + text.size() - end)).starts_with(".64"))
            all.push_back(number + 1);
    }
    return all;
}

std::optional<AccessKind> access_of(std::string_view opcode) {
    constexpr std::array<std::pair<std::string_view, AccessKind>, 8> kinds = {{{"LDG", AccessKind::GlobalLoad},
                                                                               {"STG", AccessKind::GlobalStore},
                                                                               {"ATOMG", AccessKind::GlobalAtomic},
                                                                               {"RED", AccessKind::GlobalAtomic},
                                                                               {"LDS", AccessKind::SharedLoad},
                                                                               {"LDSM", AccessKind::SharedLoad},
                                                                               {"STS", AccessKind::SharedStore},
                                                                               {"ATOMS", AccessKind::SharedAtomic}}};
    const std::string_view name = opcode.substr(0, opcode.find('.'));
    for (const auto& [mnemonic, kind] : kinds)
        if (name == mnemonic) return kind;
    return std::nullopt;
}

bool is(std::string_view opcode, std::string_view mnemonic) { return opcode.substr(0, opcode.find('.')) == mnemonic; }

bool is_double(std::string_view opcode) {
    return is(opcode, "DADD") || is(opcode, "DMUL") || is(opcode, "DFMA") || is(opcode, "DSETP");
}

std::string key_of(AccessKind kind, const std::vector<Frame>& frames) {
    std::string key = std::to_string(static_cast<int>(kind));
    for (const Frame& frame : frames) key += fmt::format(" {}:{}", frame.file, frame.line);
    return key;
}

std::string innermost_key(AccessKind kind, const std::vector<Frame>& frames) {
    return key_of(kind, frames.empty() ? frames : std::vector<Frame>{frames.front()});
}

/// Where accesses are, by one of the two keys: how often they ran, and how many instructions there are.
struct Anchors {
    std::map<std::string, double> requests, instructions;

    std::optional<double> runs_of(const std::string& key) const {
        const auto ran = requests.find(key), are = instructions.find(key);
        if (ran == requests.end() || are == instructions.end()) return std::nullopt;
        return ran->second / are->second;
    }
};

} // namespace

void MachineCode::add(const std::string& source, std::string_view disassembly) {
    std::istringstream lines{std::string(disassembly)};
    Function* function = nullptr;
    std::vector<Frame> frames;
    bool chain_continues = false, new_block = true;
    std::map<std::string, int64_t> labels;
    std::vector<std::pair<size_t, std::string>> branches; // instruction, label
    const auto finish = [&] {
        if (!function) return;
        for (const auto& [index, label] : branches) {
            const auto at = labels.find(label);
            if (at != labels.end()) function->instructions[index].target = at->second;
        }
        function = nullptr;
    };
    std::vector<std::string> waiting; // labels of the next instruction
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(".text.") && line.ends_with(':')) {
            finish();
            const std::string symbol = line.substr(6, line.size() - 7);
            function = &functions_.insert({demangled(symbol), {source, {}, {}}})->second;
            labels.clear(), branches.clear(), waiting.clear(), frames.clear();
            new_block = true;
        } else if (!function) {
            continue;
        } else if (line.starts_with("$") && line.ends_with(':')) {
            finish(); // subroutines follow
        } else if (line.find("//## File") != std::string::npos) {
            if (!chain_continues) frames.clear();
            frames.push_back(frame_of(line));
            chain_continues = line.find("inlined at") != std::string::npos;
        } else if (line.starts_with(".L_") && line.ends_with(':')) {
            waiting.push_back(line.substr(0, line.size() - 1));
            new_block = true;
        } else if (const size_t begin = line.find("/*"), end = line.find("*/");
                   begin != std::string::npos && end != std::string::npos) {
            Instruction instruction;
            std::from_chars(line.data() + begin + 2, line.data() + end, instruction.address, 16);
            std::istringstream words(line.substr(end + 2));
            std::string operands;
            words >> instruction.opcode;
            if (instruction.opcode.starts_with("@")) {
                instruction.conditional = true;
                words >> instruction.opcode;
            }
            if (instruction.opcode == "{" || instruction.opcode.empty()) continue;
            std::getline(words, operands);
            instruction.frames = frames;
            instruction.registers = registers_in(operands);
            if (is(instruction.opcode, "LDG") && !instruction.registers.empty()) {
                const int first = instruction.registers.front();
                const int count = instruction.opcode.find(".128") != std::string::npos  ? 4
                                  : instruction.opcode.find(".64") != std::string::npos ? 2
                                                                                        : 1;
                for (int part = 0; part < count; ++part)
                    if (first + part < zero_register) instruction.written.push_back(first + part);
                instruction.registers.erase(instruction.registers.begin());
            }
            for (const std::string& label : waiting) labels[label] = instruction.address;
            waiting.clear();
            if (const size_t label = operands.find("`("); is(instruction.opcode, "BRA") && label != std::string::npos)
                branches.emplace_back(function->instructions.size(),
                                      operands.substr(label + 2, operands.find(')', label) - label - 2));
            if (new_block) function->block_begins.push_back(function->instructions.size());
            new_block = is(instruction.opcode, "BRA") || is(instruction.opcode, "EXIT") ||
                        is(instruction.opcode, "RET") || is(instruction.opcode, "BRX");
            function->instructions.push_back(std::move(instruction));
        }
    }
    finish();
}

IssuedInstructions MachineCode::estimate(const Function& function, const KernelCounters& kernel) {
    Anchors by_chain, by_line;
    for (const LineCounts& line : kernel.lines) {
        for (size_t kind = 0; kind < line.access.size(); ++kind) {
            if (line.access[kind].requests == 0) continue;
            by_chain.requests[key_of(static_cast<AccessKind>(kind), line.frames)] += line.access[kind].requests;
            by_line.requests[innermost_key(static_cast<AccessKind>(kind), line.frames)] += line.access[kind].requests;
        }
    }
    for (const Instruction& instruction : function.instructions) {
        if (const auto kind = access_of(instruction.opcode)) {
            ++by_chain.instructions[key_of(*kind, instruction.frames)];
            ++by_line.instructions[innermost_key(*kind, instruction.frames)];
        }
    }

    const double threads = static_cast<double>(kernel.block[0]) * kernel.block[1] * kernel.block[2];
    double runs = static_cast<double>(kernel.grid[0]) * kernel.grid[1] * kernel.grid[2] * std::ceil(threads / 32);
    IssuedInstructions issued;
    double anchored = 0, loads = 0, loads_in_flight = 0;
    std::vector<int> awaited; // registers that loads under way will write
    double under_way = 0, load_runs = 0;
    // All loads under way are waited for: each had as many beside it, itself included.
    const auto wait = [&] {
        loads_in_flight += under_way * load_runs;
        under_way = load_runs = 0;
        awaited.clear();
    };
    for (size_t block = 0; block < function.block_begins.size(); ++block) {
        const size_t begin = function.block_begins[block], end = block + 1 < function.block_begins.size()
                                                                     ? function.block_begins[block + 1]
                                                                     : function.instructions.size();
        double sum = 0, count = 0;
        for (size_t index = begin; index < end; ++index) {
            const Instruction& instruction = function.instructions[index];
            const auto kind = access_of(instruction.opcode);
            if (!kind) continue;
            auto ran = by_chain.runs_of(key_of(*kind, instruction.frames));
            if (!ran) ran = by_line.runs_of(innermost_key(*kind, instruction.frames));
            if (ran) sum += *ran, ++count;
        }
        if (count > 0) runs = sum / count;
        for (size_t index = begin; index < end; ++index) {
            const Instruction& instruction = function.instructions[index];
            if (is(instruction.opcode, "NOP")) continue;
            issued.warp_instructions += runs;
            if (count > 0) anchored += runs;
            if (is_double(instruction.opcode)) issued.double_precision += runs;
            const bool uses = std::any_of(instruction.registers.begin(), instruction.registers.end(), [&](int used) {
                return std::find(awaited.begin(), awaited.end(), used) != awaited.end();
            });
            const bool leaves = (is(instruction.opcode, "BRA") &&
                                 (!instruction.conditional || instruction.target <= instruction.address)) ||
                                is(instruction.opcode, "EXIT");
            if (uses || leaves) wait();
            if (is(instruction.opcode, "LDG")) {
                awaited.insert(awaited.end(), instruction.written.begin(), instruction.written.end());
                ++under_way, loads += runs, load_runs += runs;
            }
        }
    }
    wait();
    issued.anchored = issued.warp_instructions > 0 ? anchored / issued.warp_instructions : 0;
    issued.loads_in_flight = loads > 0 ? loads_in_flight / loads : 0;
    return issued;
}

std::optional<IssuedInstructions> MachineCode::issued(const KernelCounters& kernel) const {
    std::vector<std::string> sources;
    for (const LineCounts& line : kernel.lines)
        for (const Frame& frame : line.frames) sources.push_back(frame.file);
    const Function* found = nullptr;
    const auto [first, last] = functions_.equal_range(demangled(kernel.symbol));
    for (auto at = first; at != last; ++at)
        if (!found || std::find(sources.begin(), sources.end(), at->second.source) != sources.end())
            found = &at->second;
    return found ? std::optional(estimate(*found, kernel)) : std::nullopt;
}

MachineCode machine_code_in(const std::filesystem::path& folder) {
    MachineCode code;
    if (!std::filesystem::is_directory(folder)) return code;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (!file.path().string().ends_with(suffix)) continue;
        const std::string source = std::filesystem::relative(file.path(), folder).string();
        std::ifstream stream(file.path(), std::ios::binary);
        code.add(source.substr(0, source.size() - suffix.size()),
                 std::string{std::istreambuf_iterator<char>(stream), {}});
    }
    return code;
}

} // namespace scene::counters
