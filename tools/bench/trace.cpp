#include "tools/bench/trace.h"

#include <cmath>

#include "kernels/median.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

/// The slices and counters of one process, in their order.
class Track {
public:
    Track(Json& events, int process) : events_(events), process_(process) {}

    void add_name(const char* what, const std::string& name) {
        events_.push_back(
            {{"ph", "M"}, {"name", what}, {"pid", process_}, {"tid", thread}, {"args", {{"name", name}}}});
    }
    void begin(const std::string& name, std::string_view category, Json arguments) {
        Json event = at_now("B", name);
        event["cat"] = category;
        if (!arguments.is_null()) event["args"] = std::move(arguments);
        events_.push_back(std::move(event));
    }
    void end() { events_.push_back(at_now("E", "")); }
    void count(double live, double end) {
        Json event = at_now("C", "arena");
        event["args"] = {{"live", std::llround(live)}, {"end", std::llround(end)}};
        events_.push_back(std::move(event));
    }
    void pass(double seconds) { seconds_ += seconds; }

private:
    static constexpr int thread = 1;

    Json at_now(const char* phase, const std::string& name) const {
        Json event = {{"ph", phase}};
        if (!name.empty()) event["name"] = name;
        event["pid"] = process_;
        event["tid"] = thread;
        event["ts"] = std::round(1e9 * seconds_) / 1e3; // the format's unit is a microsecond
        return event;
    }

    Json& events_;
    int process_;
    double seconds_ = 0;
};

Json arguments_of(const OpSamples& op, double seconds_of_all, const std::optional<Calibration>& calibration) {
    const double seconds = median(op.seconds);
    Json arguments = {{"kind", op.kind},
                      {"phase", name_of(op.phase)},
                      {"flops", op.flops},
                      {"bytes_moved", op.bytes_moved},
                      {"median_ms", 1e3 * seconds},
                      {"gflops", op.flops / seconds / 1e9},
                      {"gb_per_s", op.bytes_moved / seconds / 1e9},
                      {"share_of_step", seconds / seconds_of_all}};
    if (calibration) arguments["share_of_roofline"] = roofline_share(op, *calibration);
    return arguments;
}

void add_step(Track track, const Measurement& m) {
    track.add_name("process_name", m.name);
    track.add_name("thread_name", "ops, each as long as its median");
    const double all = m.seconds_of_ops();
    for (size_t index = 0; index < m.ops.size(); ++index) {
        const OpSamples& op = m.ops[index];
        const bool first = index == 0 || m.ops[index - 1].phase != op.phase;
        const bool last = index + 1 == m.ops.size() || m.ops[index + 1].phase != op.phase;
        if (first) track.begin(std::string(name_of(op.phase)), "phase", {});
        track.count(op.arena_live, op.arena_end);
        track.begin(op.name, op.kind, arguments_of(op, all, m.calibration));
        track.pass(median(op.seconds));
        track.end();
        if (last) track.end();
    }
    track.count(0, 0);
}

} // namespace

Json chrome_trace(const std::vector<Measurement>& measurements) {
    Json events = Json::array(), devices = Json::object();
    int process = 0;
    for (const Measurement& m : measurements) {
        if (m.ops.empty()) continue;
        add_step({events, ++process}, m);
        devices[m.name] = m.device;
    }
    return {{"traceEvents", events}, {"displayTimeUnit", "ns"}, {"otherData", devices}};
}

} // namespace scene
