#include "tests/counters/model/html_page.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "tests/counters/counter_names.h"
#include "tests/counters/model/line_heat.h"

namespace scene::counters {
namespace {

constexpr int context_lines = 3; ///< shown around a line with counts

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --text: #1b1f24; --muted: #57606a; --page: #fff; --raised: #f5f7f9; --rule: #d5dae0;
  --link: #0b57b0; --heat: 222 72 20; --bad: #9b1c1c; --strength: .62; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ec; --muted: #9aa4af; --page: #14171b; --raised: #1d2126;
  --rule: #363c44; --link: #7db8ff; --heat: 255 112 52; --bad: #ff9c94; --strength: .75; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font: 600 .95rem/1.4 ui-monospace, monospace; margin: 1rem 0 .35rem; }
p { margin: .35rem 0; max-width: 60rem; }
a { color: var(--link); }
.muted { color: var(--muted); }
.predicted { display: inline-block; border: 1px solid currentColor; border-radius: .3rem; padding: 0 .4rem; color: var(--bad);
  font-weight: 600; }
.figures { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.figures div { flex: 1 1 8rem; max-width: 18rem; background: var(--raised); border: 1px solid var(--rule); border-radius: .4rem; padding: .45rem .8rem; }
.figures b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: .4rem; }
.scroll.narrow { max-width: 44rem; }
.scroll.kernels { max-height: 75vh; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { background: var(--raised); font-weight: 600; vertical-align: bottom; }
.kernels thead th { position: sticky; top: 0; z-index: 1; }
tbody tr:last-child td { border-bottom: 0; }
.left { text-align: left; }
th button { all: unset; cursor: pointer; }
th button:hover { text-decoration: underline; }
th[aria-sort=ascending] button::after { content: " \2191"; }
th[aria-sort=descending] button::after { content: " \2193"; }
:focus-visible, th button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
tbody tr:hover td { background-image: linear-gradient(rgb(128 128 128 / .12), rgb(128 128 128 / .12)); }
.heat { background-color: rgb(var(--heat) / calc(var(--h) * var(--strength))); }
details { border-top: 1px solid var(--rule); padding: .4rem 0; }
summary { cursor: pointer; padding: .25rem 0; }
summary code { font-weight: 600; }
code, .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8rem; tab-size: 4; }
.source td { border-bottom: 0; line-height: 1.35; padding-top: .05rem; padding-bottom: .05rem; }
.source .code { text-align: left; white-space: pre; width: 100%; }
.source .number { color: var(--muted); user-select: none; }
.source .skipped td { color: var(--muted); text-align: left; background: var(--raised); }
@media (max-width: 30rem) { th, td { padding: .2rem .35rem; } body { padding: .75rem; } }
label { display: inline-flex; flex-wrap: wrap; gap: .2rem .5rem; align-items: center; margin: .3rem 0 .6rem; }
input { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--muted); border-radius: .3rem;
  padding: .2rem .5rem; max-width: 100%; }
)";

constexpr std::string_view script = R"(
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button')?.addEventListener('click', () => {
    const falling = head.getAttribute('aria-sort') !== 'descending';
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
    const value = row => { const cell = row.cells[column], number = cell.dataset.value;
      return number === undefined ? cell.textContent : number === '' ? -1 : Number(number); };
    const rows = [...table.tBodies[0].rows].sort((a, b) => { const x = value(a), y = value(b);
      return (typeof x === 'number' ? x - y : y.localeCompare(x)) * (falling ? -1 : 1); });
    table.tBodies[0].append(...rows);
  }));
}
const filter = document.getElementById('filter');
filter?.addEventListener('input', () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const row of document.querySelectorAll('#kernels tbody tr'))
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
});
const open = () => { const target = document.getElementById(location.hash.slice(1));
  if (target?.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); } };
addEventListener('hashchange', open);
open();
)";

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default:
            if (static_cast<unsigned char>(c) >= ' ' || c == '\t' || c == '\n') out += c;
        }
    }
    return out;
}

/// 1234567 as 1.23 M.
std::string shortened(double value) {
    if (value <= 0) return "";
    if (value >= 1e9) return fmt::format("{:.2f} G", value / 1e9);
    if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
    if (value >= 1e4) return fmt::format("{:.1f} k", value / 1e3);
    return fmt::format("{:.0f}", value);
}

/// `heat` from 0 to 1 colours the cell.
std::string cell(const std::string& text, double value, double heat = 0) {
    const bool hot = heat > 0.005;
    return fmt::format("<td data-value=\"{:.6g}\"{}>{}</td>", value,
                       hot ? fmt::format(" class=\"heat\" style=\"--h:{:.2f}\"", std::min(1.0, heat)) : "", text);
}

std::string empty_cell() { return "<td data-value=\"\"></td>"; }

std::string number_cell(const char* format, double value, double heat = 0) {
    return cell(fmt::format(fmt::runtime(format), value), value, heat);
}

std::string optional_cell(const char* format, const std::optional<double>& value) {
    return value ? number_cell(format, *value) : empty_cell();
}

std::string head(std::string_view name, std::string_view meaning, bool left = false) {
    return fmt::format("<th scope=\"col\"{} title=\"{}\"><button type=\"button\">{}</button></th>",
                       left ? " class=\"left\"" : "", escaped(meaning), escaped(name));
}

std::string extent_text(const std::array<uint32_t, 3>& extent) {
    std::string text = std::to_string(extent[0]);
    if (extent[1] * extent[2] > 1) text += fmt::format("×{}", extent[1]);
    if (extent[2] > 1) text += fmt::format("×{}", extent[2]);
    return text;
}

/// How bad a line or kernel is in each column, from 0 to 1.
double sector_waste(const AccessCounts& global) { return global.sectors > 0 ? 1 - sector_use(global) : 0; }
double idle_lanes(const AccessCounts& counts) { return counts.requests > 0 ? 1 - lanes_per_request(counts) / 32 : 0; }

AccessCounts both(const AccessCounts& global, const AccessCounts& shared) {
    AccessCounts sum = global;
    sum += shared;
    return sum;
}

/// Requests, sectors, bytes a sector, lanes, wavefronts, conflicts. `most` has the largest counts of the listing.
std::string count_cells(const LineHeat& line, const LineHeat& most) {
    const AccessCounts all = both(line.global, line.shared);
    std::string text = cell(shortened(all.requests), all.requests);
    text += line.global.sectors > 0
                ? cell(shortened(line.global.sectors), line.global.sectors, line.global.sectors / most.global.sectors) +
                      number_cell("{:.1f}", 32 * sector_use(line.global), sector_waste(line.global))
                : empty_cell() + empty_cell();
    text += number_cell("{:.1f}", lanes_per_request(all), idle_lanes(all));
    text += line.shared.wavefronts > 0
                ? cell(shortened(line.shared.wavefronts), line.shared.wavefronts,
                       line.shared.wavefronts / most.shared.wavefronts) +
                      number_cell("{:.0f} %", 100 * conflict_share(line.shared), conflict_share(line.shared))
                : empty_cell() + empty_cell();
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::string listing(const std::string& file, const std::map<int, LineHeat>& heat, const LineHeat& most,
                    const SourceReader& source) {
    const std::optional<std::string> text = source(file);
    const std::vector<std::string> lines = lines_of(text.value_or(""));
    const int last = std::max(static_cast<int>(lines.size()), heat.empty() ? 0 : heat.rbegin()->first);
    std::string out = fmt::format(
        "<h3>{0}</h3>{1}<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table "
        "class=\"source\">"
        "<thead><tr><th scope=\"col\">line</th><th scope=\"col\">requests</th><th scope=\"col\">sectors</th>"
        "<th scope=\"col\">B / sector</th><th scope=\"col\">lanes</th><th scope=\"col\">wavefronts</th>"
        "<th scope=\"col\">conflicts</th><th scope=\"col\" class=\"left\">source</th></tr></thead><tbody>\n",
        escaped(file), text ? "" : "<p class=\"muted\">The source is not here; only its lines' numbers are.</p>");
    const auto near = [&](int line) {
        const auto at = heat.lower_bound(line - context_lines);
        return at != heat.end() && at->first <= line + context_lines;
    };
    int skipped = 0;
    const auto end_of_skipped = [&] {
        if (skipped > 0)
            out += fmt::format("<tr class=\"skipped\"><td colspan=\"8\">⋯ {} lines without an access</td></tr>\n",
                               skipped);
        skipped = 0;
    };
    for (int line = 1; line <= last; ++line) {
        if (!near(line)) {
            ++skipped;
            continue;
        }
        end_of_skipped();
        const auto at = heat.find(line);
        out += fmt::format("<tr><td class=\"number\">{}</td>", line);
        out +=
            at == heat.end() ? "<td></td><td></td><td></td><td></td><td></td><td></td>" : count_cells(at->second, most);
        out += fmt::format("<td class=\"code\">{}</td></tr>\n",
                           line <= static_cast<int>(lines.size()) ? escaped(lines[static_cast<size_t>(line - 1)]) : "");
    }
    end_of_skipped();
    return out + "</tbody></table></div>\n";
}

/// Launches of one kernel.
struct Launches {
    std::string id;
    std::vector<const KernelReport*> all;
};

std::string details(const Launches& launches, const SourceReader& source) {
    const KernelReport& first = *launches.all.front();
    double seconds = 0;
    std::vector<const KernelCounters*> counters;
    for (const KernelReport* launch : launches.all) {
        seconds += launch->time.seconds;
        counters.push_back(&launch->counters);
    }
    std::string out =
        fmt::format("<details id=\"{}\"><summary><code>{}</code> <span class=\"muted\">{} {}, predicted {:.1f} µs"
                    "</span></summary>\n<p class=\"code muted\">{}</p>\n",
                    launches.id, escaped(short_name(first.counters.kernel)), launches.all.size(),
                    launches.all.size() == 1 ? "launch" : "launches", 1e6 * seconds, escaped(first.counters.kernel));
    if (first.resources) {
        const KernelResources& of = *first.resources;
        out += fmt::format(
            "<p>{} registers, {} bytes of stack, spills: {} bytes stored, {} loaded; {} bytes of static shared memory",
            of.registers, of.stack_bytes, of.spill_store_bytes, of.spill_load_bytes, of.static_shared_bytes);
        if (first.time.occupancy)
            out += fmt::format("; {} blocks on a multiprocessor, limited by {}", first.time.occupancy->blocks,
                               name_of(first.time.occupancy->limit));
        out += ".</p>\n";
    }
    const SourceHeat heat = heat_of(counters);
    LineHeat most;
    for (const auto& [file, lines] : heat) {
        for (const auto& [line, counts] : lines) {
            most.global.sectors = std::max(most.global.sectors, counts.global.sectors);
            most.shared.wavefronts = std::max(most.shared.wavefronts, counts.shared.wavefronts);
        }
    }
    for (const auto& [file, lines] : heat) out += listing(file, lines, most, source);
    if (heat.empty()) out += "<p class=\"muted\">No access was counted.</p>\n";
    return out + "</details>\n";
}

std::string kernel_row(const KernelReport& kernel, size_t order, const std::string& id, double longest) {
    const KernelCounters& counters = kernel.counters;
    const PredictedTime& time = kernel.time;
    const auto micro = [](const std::optional<double>& seconds) {
        return optional_cell("{:.1f}", seconds ? std::optional(1e6 * *seconds) : std::nullopt);
    };
    const AccessCounts global = global_access(counters.access), shared = shared_access(counters.access);
    std::string row = fmt::format(
        "<tr><td data-value=\"{0}\">{0}</td><td class=\"left\">{1}</td><td class=\"left\"><a href=\"#{2}\">{3}</a>"
        "</td>",
        order, escaped(counters.op), id, escaped(short_name(counters.kernel)));
    row += number_cell("{:.1f}", 1e6 * time.seconds, time.seconds / longest);
    row += fmt::format("<td class=\"left\">{}</td>", name_of(time.bound));
    row += micro(time.memory) + micro(time.l2) + micro(time.l1) + micro(time.issue) + micro(time.latency);
    row += time.occupancy ? number_cell("{:.0f} %", 100 * time.occupancy->share, 0.5 * (1 - time.occupancy->share))
                          : empty_cell();
    row += kernel.resources ? cell(std::to_string(kernel.resources->registers), kernel.resources->registers) +
                                  cell(std::to_string(kernel.resources->spill_store_bytes),
                                       static_cast<double>(kernel.resources->spill_store_bytes),
                                       kernel.resources->spill_store_bytes > 0 ? 1 : 0)
                            : empty_cell() + empty_cell();
    row += number_cell("{:.2f}", (counters.distinct_bytes_read + counters.distinct_bytes_written) / 1e6);
    row += cell(shortened(global.sectors), global.sectors);
    row += global.sectors > 0 ? number_cell("{:.1f}", 32 * sector_use(global), sector_waste(global)) : empty_cell();
    row += number_cell("{:.1f}", lanes_per_request(both(global, shared)), idle_lanes(both(global, shared)));
    row += shared.wavefronts > 0 ? cell(shortened(shared.wavefronts), shared.wavefronts) +
                                       number_cell("{:.0f} %", 100 * conflict_share(shared), conflict_share(shared))
                                 : empty_cell() + empty_cell();
    row += fmt::format("<td class=\"left\">{} × {}</td>", extent_text(counters.grid), extent_text(counters.block));
    return row + "</tr>\n";
}

std::string kernels_table(const StepReport& report, const std::map<std::string, std::string>& ids) {
    double longest = 0;
    for (const KernelReport& kernel : report.kernels) longest = std::max(longest, kernel.time.seconds);
    std::string out =
        "<label for=\"filter\">Show <input id=\"filter\" type=\"search\" placeholder=\"batch_norm half\"></label>\n"
        "<div class=\"scroll kernels\" tabindex=\"0\" role=\"region\" aria-label=\"kernels of the step\">"
        "<table class=\"sortable\" id=\"kernels\"><thead><tr>";
    out += head("#", "order of the launches") + head("op", "op of the program", true) +
           head("kernel", "its source is below", true);
    out += head("predicted µs", "the largest of the five, plus the gap to the next kernel");
    out += head("bound", "which of the five is the largest", true);
    out += head("memory", "µs: distinct bytes over the bandwidth of device memory");
    out += head("L2", "µs: all sectors over the bandwidth of L2");
    out += head("L1", "µs: wavefronts and bytes through L1 of the busiest multiprocessor");
    out += head("issue", "µs: warp instructions, four a cycle");
    out += head("latency", "µs: loads of a warp one after another, for every round of blocks");
    out += head("occupancy", "resident warps of those that a multiprocessor can hold");
    out +=
        head("registers", "of a thread") + head("spills", "bytes of a thread that ptxas stores for lack of registers");
    out += head("MB", "distinct bytes read and written") +
           head("sectors", "32-byte sectors of global memory, over all requests");
    out += head("B / sector", "bytes of a sector that its request needs, of 32");
    out += head("lanes", "threads that take part in a request, of 32");
    out += head("wavefronts", "passes over the banks of shared memory");
    out += head("conflicts", "share of wavefronts beyond the fewest possible");
    out += head("grid × block", "of the launch", true) + "</tr></thead><tbody>\n";
    for (size_t index = 0; index < report.kernels.size(); ++index)
        out += kernel_row(report.kernels[index], index + 1, ids.at(report.kernels[index].counters.symbol), longest);
    return out + "</tbody></table></div>\n";
}

std::string library_table(const StepReport& report) {
    std::string out = "<div class=\"scroll narrow\" tabindex=\"0\" role=\"region\" aria-label=\"ops of the libraries\">"
                      "<table class=\"sortable\"><thead><tr>" +
                      head("op", "op of the program", true) + head("kind", "of the op", true) +
                      head("GFLOP", "two a multiplication") +
                      head("tile fill", "share of a tile's multiplications that are of use") +
                      head("predicted µs", "arithmetic or operands, whichever takes longer") + "</tr></thead><tbody>\n";
    for (const LibraryWork& work : report.plan.library) {
        const double fill = work.columns > 0 ? tile_fill(work.columns, work.inner) : 1;
        out += fmt::format("<tr><td class=\"left\">{}</td><td class=\"left\">{}</td>{}{}{}</tr>\n", escaped(work.op),
                           escaped(work.kind), number_cell("{:.2f}", work.flops / 1e9),
                           number_cell("{:.0f} %", 100 * fill, 1 - fill),
                           number_cell("{:.1f}", 1e6 * predicted_seconds(work, report.gpu)));
    }
    return out + "</tbody></table></div>\n";
}

std::string groups_table(const StepReport& report) {
    std::string out =
        "<div class=\"scroll narrow\" tabindex=\"0\" role=\"region\" aria-label=\"parts of the "
        "step\"><table><thead><tr>"
        "<th scope=\"col\" class=\"left\">part</th><th scope=\"col\">kernels</th><th scope=\"col\">predicted ms"
        "</th><th scope=\"col\">share</th></tr></thead><tbody>\n";
    for (const GroupTime& group : groups_of(report)) {
        const double share = report.seconds() > 0 ? group.seconds / report.seconds() : 0;
        out += fmt::format("<tr><td class=\"left\">{}</td>{}{}{}</tr>\n", escaped(group.group),
                           cell(std::to_string(group.kernels), group.kernels),
                           number_cell("{:.2f}", 1e3 * group.seconds), number_cell("{:.0f} %", 100 * share, share));
    }
    return out + "</tbody></table></div>\n";
}

std::string figure(std::string_view name, const std::string& value) {
    return fmt::format("<div><b>{}</b>{}</div>", value, name);
}

} // namespace

std::optional<std::string> source_in_current_folder(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || !std::filesystem::is_regular_file(file)) return std::nullopt;
    return std::string{std::istreambuf_iterator<char>(stream), {}};
}

std::string html_page(const StepReport& report, const SourceReader& source) {
    std::map<std::string, std::string> ids;
    std::vector<Launches> kernels; // in the order of their first launches
    for (const KernelReport& kernel : report.kernels) {
        const auto [at, is_new] = ids.try_emplace(kernel.counters.symbol, fmt::format("kernel-{}", ids.size() + 1));
        if (is_new) kernels.push_back({at->second, {}});
        std::find_if(kernels.begin(), kernels.end(), [&](const Launches& launches) {
            return launches.id == at->second;
        })->all.push_back(&kernel);
    }
    const std::string title =
        fmt::format("{}, {}, batch {}", report.counters.program, report.counters.precision, report.counters.batch);
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n<title>{0}: "
        "counters</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n"
        "<p><span class=\"predicted\">predicted</span> for {2}. The counters are the emulator's; all times are a "
        "model's. Nothing "
        "here was measured on a GPU. docs/counters.md has the method.</p>\n",
        escaped(title), style, escaped(report.gpu.name));
    out += "<div class=\"figures\">" + figure("predicted, the step", fmt::format("{:.2f} ms", 1e3 * report.seconds())) +
           figure("predicted, our kernels", fmt::format("{:.2f} ms", 1e3 * report.kernel_seconds())) +
           figure("predicted, cuDNN and cuBLASLt", fmt::format("{:.2f} ms", 1e3 * report.library_seconds())) +
           figure("the least, as planned", fmt::format("{:.2f} ms", 1e3 * report.floor_seconds())) + "</div>\n";
    out += "<h2>Parts</h2>\n" + groups_table(report);
    out += "<h2>Kernels</h2>\n" + kernels_table(report, ids);
    out += "<h2>What the libraries compute</h2>\n" + library_table(report);
    out += "<h2>Sources</h2>\n<p class=\"muted\">Launches of one kernel are summed. An access counts at every line of "
           "its chain "
           "of inlined calls, so the lines add up to more than the kernel.</p>\n";
    for (const Launches& launches : kernels) out += details(launches, source);
    return out + fmt::format("<script>{}</script>\n</body>\n</html>\n", script);
}

} // namespace scene::counters
