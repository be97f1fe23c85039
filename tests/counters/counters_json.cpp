#include "tests/counters/counters_json.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"
#include "tests/counters/counter_names.h"

namespace scene::counters {
namespace {

constexpr std::array<const char*, access_kinds> kind_names = {"global_load", "global_store", "global_atomic",
                                                              "shared_load", "shared_store", "shared_atomic"};

constexpr std::array<std::pair<const char*, double AccessCounts::*>, 7> access_fields = {
    {{"requests", &AccessCounts::requests},
     {"lanes", &AccessCounts::lanes},
     {"bytes", &AccessCounts::bytes},
     {"sectors", &AccessCounts::sectors},
     {"least_sectors", &AccessCounts::least_sectors},
     {"wavefronts", &AccessCounts::wavefronts},
     {"least_wavefronts", &AccessCounts::least_wavefronts}}};

/// Without what is zero.
Json to_json(const AccessTable& access) {
    Json all = Json::object();
    for (size_t kind = 0; kind < access_kinds; ++kind) {
        if (access[kind].requests == 0) continue;
        Json& one = all[kind_names[kind]];
        for (const auto& [name, field] : access_fields)
            if (access[kind].*field != 0) one[name] = access[kind].*field;
    }
    return all;
}

AccessTable access_from(const Json& json) {
    AccessTable access;
    for (size_t kind = 0; kind < access_kinds; ++kind) {
        const auto one = json.find(kind_names[kind]);
        if (one == json.end()) continue;
        for (const auto& [name, field] : access_fields) access[kind].*field = one->value(name, 0.0);
    }
    return access;
}

Json to_json(const LineCounts& line) {
    Json frames = Json::array();
    for (const Frame& frame : line.frames) frames.push_back({{"file", frame.file}, {"line", frame.line}});
    return {{"frames", frames}, {"access", to_json(line.access)}};
}

LineCounts line_from(const Json& json) {
    LineCounts line;
    for (const Json& frame : json.at("frames"))
        line.frames.push_back({frame.at("file").get<std::string>(), frame.at("line").get<int>()});
    line.access = access_from(json.at("access"));
    return line;
}

Json to_json(const KernelCounters& kernel) {
    Json json = {{"op", kernel.op},
                 {"kind", kernel.kind},
                 {"kernel", kernel.kernel},
                 {"symbol", kernel.symbol},
                 {"grid", kernel.grid},
                 {"block", kernel.block},
                 {"shared_bytes", kernel.shared_bytes},
                 {"counted_blocks", kernel.counted_blocks},
                 {"scaling_error", kernel.scaling_error},
                 {"barriers", kernel.barriers},
                 {"warp_operations", kernel.warp_operations},
                 {"distinct_bytes_read", kernel.distinct_bytes_read},
                 {"distinct_bytes_written", kernel.distinct_bytes_written},
                 {"distinct_bytes_of_scratch", kernel.distinct_bytes_of_scratch},
                 {"warp_blocks", kernel.warp_blocks},
                 {"thread_blocks", kernel.thread_blocks},
                 {"access", to_json(kernel.access)}};
    Json& metrics = json["metrics"] = Json::object();
    for (const Counter& counter : counters())
        if (const double value = counter.of(kernel); value != 0) metrics[counter.name] = value;
    Json& lines = json["lines"] = Json::array();
    for (const LineCounts& line : kernel.lines) lines.push_back(to_json(line));
    return json;
}

KernelCounters kernel_from(const Json& json) {
    KernelCounters kernel;
    kernel.op = json.at("op");
    kernel.kind = json.at("kind");
    kernel.kernel = json.at("kernel");
    kernel.symbol = json.at("symbol");
    kernel.grid = json.at("grid");
    kernel.block = json.at("block");
    kernel.shared_bytes = json.at("shared_bytes");
    kernel.counted_blocks = json.at("counted_blocks");
    kernel.scaling_error = json.at("scaling_error");
    kernel.barriers = json.at("barriers");
    kernel.warp_operations = json.at("warp_operations");
    kernel.distinct_bytes_read = json.at("distinct_bytes_read");
    kernel.distinct_bytes_written = json.at("distinct_bytes_written");
    kernel.distinct_bytes_of_scratch = json.at("distinct_bytes_of_scratch");
    kernel.warp_blocks = json.at("warp_blocks");
    kernel.thread_blocks = json.at("thread_blocks");
    kernel.access = access_from(json.at("access"));
    for (const Json& line : json.at("lines")) kernel.lines.push_back(line_from(line));
    return kernel;
}

} // namespace

Json to_json(const StepCounters& step) {
    Json json = {{"program", step.program}, {"precision", step.precision}, {"batch", step.batch}};
    Json& kernels = json["kernels"] = Json::array();
    for (const KernelCounters& kernel : step.kernels) kernels.push_back(to_json(kernel));
    return json;
}

StepCounters step_from_json(const Json& json) {
    StepCounters step;
    step.program = json.at("program");
    step.precision = json.at("precision");
    step.batch = json.at("batch");
    for (const Json& kernel : json.at("kernels")) step.kernels.push_back(kernel_from(kernel));
    return step;
}

void write_step_counters(const StepCounters& step, const std::filesystem::path& path) {
    write_file(path, json_text(to_json(step)));
}

StepCounters read_step_counters(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) fail("{}: cannot be read; make counters writes it", path.string());
    try {
        return step_from_json(parse_ordered_json(text.str()));
    } catch (const nlohmann::json::exception& error) {
        fail("{}: not the counters of a step ({}); make counters writes it anew", path.string(), error.what());
    }
}

} // namespace scene::counters
