// The page of a step: well formed, escaped, with the counts of every line where they belong.

#include <gtest/gtest.h>

#include <regex>

#include "tests/counters/model/html_page.h"
#include "tests/counters/model/line_heat.h"

namespace scene::counters {
namespace {

LineCounts line(std::vector<Frame> frames, AccessKind kind, const AccessCounts& counts) {
    LineCounts line;
    line.frames = std::move(frames);
    line.access[static_cast<size_t>(kind)] = counts;
    return line;
}

/// A load by an inlined function, a store with bank conflicts, and lanes that idle.
KernelCounters kernel() {
    KernelCounters kernel;
    kernel.op = "block1.norm<1>", kernel.kind = "batch_norm_forward", kernel.symbol = "_Z1k";
    kernel.kernel = "void scene::cuda::(anonymous namespace)::normalize<__half, 8>(__half*, float const*)";
    kernel.grid = {10, 2, 1}, kernel.block = {32, 4, 1};
    kernel.distinct_bytes_read = 5e6;
    kernel.lines = {
        line({{"device_code.h", 2}, {"cuda.cu", 20}}, AccessKind::GlobalLoad,
             {.requests = 1234, .lanes = 1234 * 32, .bytes = 0, .sectors = 7777, .least_sectors = 7777.0 / 4}),
        line({{"cuda.cu", 21}}, AccessKind::SharedStore,
             {.requests = 100, .lanes = 800, .wavefronts = 400, .least_wavefronts = 100})};
    for (const LineCounts& counts : kernel.lines)
        for (size_t kind = 0; kind < counts.access.size(); ++kind) kernel.access[kind] += counts.access[kind];
    return kernel;
}

StepReport report() {
    StepCounters counters{.program = "fcnn & co", .precision = "fp16", .batch = 256, .kernels = {kernel(), kernel()}};
    StepPlan plan;
    plan.library = {{.op = "conv2",
                     .kind = "conv2d_forward",
                     .flops = 1e12,
                     .bytes = 1,
                     .halves = true,
                     .columns = 144,
                     .inner = 144}};
    return report_of(counters, plan, gpu_properties("h100"), ResourceTable());
}

std::optional<std::string> source(const std::string& file) {
    if (file != "cuda.cu") return std::nullopt;
    std::string text;
    for (int number = 1; number <= 60; ++number) text += "row<" + std::to_string(number) + "> & \"more\"\n";
    return text;
}

/// The first unbalanced or unknown tag, or a bare & or < outside script and style; empty if there is none.
std::string fault_of(const std::string& page) {
    const std::regex contents("<(script|style)>[^]*?</\\1>"), entity("^&(amp|lt|gt|quot|#39);"),
        tag("^<(/?)([a-z][a-z0-9]*)((?: [a-z-]+(?:=\"[^\"<&]*(?:&[a-z#0-9]+;[^\"<&]*)*\")?)*)>");
    std::string text = std::regex_replace(page, contents, "<$1></$1>");
    EXPECT_TRUE(text.starts_with("<!DOCTYPE html>\n"));
    text.erase(0, 16);
    std::vector<std::string> open;
    for (size_t at = 0; (at = text.find_first_of("<&", at)) != std::string::npos; ++at) {
        const std::string here = text.substr(at, 400);
        std::smatch found;
        if (here[0] == '&') {
            if (!std::regex_search(here, entity)) return here.substr(0, 40);
        } else if (!std::regex_search(here, found, tag)) {
            return here.substr(0, 40);
        } else if (found[1] == "/") {
            if (open.empty() || open.back() != found[2]) return here.substr(0, 40);
            open.pop_back();
        } else if (found[2] != "meta" && found[2] != "input") {
            open.push_back(found[2]);
        }
    }
    return open.empty() ? "" : open.back();
}

TEST(HtmlPage, IsWellFormedAndEscaped) {
    const std::string page = html_page(report(), source);
    EXPECT_EQ(fault_of(page), "");
    EXPECT_NE(page.find("block1.norm&lt;1&gt;"), std::string::npos);
    EXPECT_NE(page.find("<h1>fcnn &amp; co, fp16, batch 256</h1>"), std::string::npos);
    EXPECT_NE(page.find("row&lt;20&gt; &amp; &quot;more&quot;"), std::string::npos);
    EXPECT_NE(fault_of("<!DOCTYPE html>\n<p>a < b</p>"), "") << "the check itself";
    EXPECT_NE(fault_of("<!DOCTYPE html>\n<p><b></p>"), "");
}

TEST(HtmlPage, NeedsNothingFromElsewhere) {
    const std::string page = html_page(report(), source);
    for (const char* part : {"http:", "https:", "src=", "@import", "url("})
        EXPECT_EQ(page.find(part), std::string::npos) << part;
    EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(HtmlPage, EveryLineHasItsNumbers) {
    const std::string page = html_page(report(), source);
    // Two launches: the load in its own line and in that of its caller, with a quarter of each sector used.
    const std::regex load("<td class=\"number\">20</td><td data-value=\"2468\">2468</td><td data-value=\"15554\" "
                          "class=\"heat\" style=\"--h:1.00\">15.6 k</td><td data-value=\"8\" class=\"heat\" "
                          "style=\"--h:0.75\">8.0</td><td data-value=\"32\">32.0</td>"),
        callee("<td class=\"number\">2</td><td data-value=\"2468\">2468</td>"),
        store("<td class=\"number\">21</td><td data-value=\"200\">200</td><td data-value=\"\"></td><td "
              "data-value=\"\"></td>"
              "<td data-value=\"8\" class=\"heat\" style=\"--h:0.75\">8.0</td><td data-value=\"800\" class=\"heat\" "
              "style=\"--h:1.00\">800</td><td data-value=\"75\" class=\"heat\" style=\"--h:0.75\">75 %</td>");
    EXPECT_TRUE(std::regex_search(page, load));
    EXPECT_TRUE(std::regex_search(page, callee));
    EXPECT_TRUE(std::regex_search(page, store));
    EXPECT_NE(page.find("⋯ 16 lines"), std::string::npos) << "before line 17";
    EXPECT_EQ(page.find("row&lt;16&gt;"), std::string::npos);
    EXPECT_NE(page.find("row&lt;24&gt;"), std::string::npos);
}

TEST(HtmlPage, EveryTimeIsCalledPredicted) {
    const std::string page = html_page(report(), source), table = table_text(report()), rows = markdown(report());
    EXPECT_NE(page.find("<span class=\"predicted\">predicted</span>"), std::string::npos);
    EXPECT_NE(table.find("PREDICTED"), std::string::npos);
    EXPECT_NE(table.find("nvcc compiled no kernels here"), std::string::npos);
    EXPECT_NE(rows.find("predicted, ms | measured, ms"), std::string::npos);
    EXPECT_NE(json_of(report()).find("\"predicted_step_us\""), std::string::npos);
}

TEST(LineHeat, ALineThatIsTwiceInAChainCountsOnce) {
    KernelCounters recursive;
    recursive.lines = {line({{"a.h", 3}, {"a.h", 3}, {"b.cu", 7}}, AccessKind::GlobalLoad, {.requests = 5})};
    const SourceHeat heat = heat_of({&recursive, &recursive});
    EXPECT_EQ(heat.at("a.h").at(3).global.requests, 10);
    EXPECT_EQ(heat.at("b.cu").at(7).global.requests, 10);
}

TEST(StepReport, NamesWithoutWhatEveryKernelHas) {
    EXPECT_EQ(short_name(kernel().kernel), "normalize<__half, 8>");
    EXPECT_EQ(short_name("scene::cuda::(anonymous namespace)::finish(float*)"), "finish");
    EXPECT_EQ(short_name("void scene::cuda::sum<float, 4, scene::cuda::(anonymous namespace)::Terms<float, 4> >(int)"),
              "sum<float, 4, Terms<float, 4> >");
}

TEST(StepReport, TheLongestKernelsWithAllTheirLaunches) {
    StepReport step = report();
    step.kernels[0].counters.kind = "other";
    step.kernels.push_back(step.kernels[1]);
    step.kernels[2].time.seconds = 1;
    const std::vector<KernelTime> times = longest_kernels(step);
    ASSERT_EQ(times.size(), 2u);
    EXPECT_EQ(times[0].kind, "batch_norm_forward");
    EXPECT_EQ(times[0].launches, 2);
    EXPECT_DOUBLE_EQ(times[0].seconds, 1 + step.kernels[1].time.seconds);
    EXPECT_EQ(times[0].longest, &step.kernels[2]);
    EXPECT_NE(markdown(step).find("| `normalize<__half, 8>` | batch_norm_forward | 2 | 1000003."), std::string::npos)
        << markdown(step);
}

/// A bias that is added to a library's convolution is not the first convolution.
TEST(StepReport, KernelsBesideALibraryAreNoPartOfTheStem) {
    StepReport step = report();
    for (KernelReport& kernel : step.kernels) kernel.counters.kind = "conv2d_forward";
    step.kernels[0].counters.op = "conv2";
    EXPECT_EQ(groups_of(step)[5].kernels, 1);
    EXPECT_EQ(groups_of(step).back().kernels, 1);
}

TEST(StepReport, SetupIsNoPartOfTheStep) {
    Program program;
    for (const Phase phase : {Phase::Setup, Phase::Forward}) {
        Op op;
        op.name = name_of(phase), op.kind = "convert", op.phase = phase, op.bytes = 7;
        program.ops.push_back(op);
    }
    const StepPlan plan = plan_of(program);
    EXPECT_EQ(plan.other_bytes, 7);
    StepCounters counters{.program = "step", .precision = "fp16", .batch = 1, .kernels = {kernel(), kernel()}};
    counters.kernels[0].op = name_of(Phase::Setup);
    EXPECT_EQ(report_of(counters, plan, gpu_properties("h100"), ResourceTable()).kernels.size(), 1u);
}

TEST(StepReport, PartsAddUpToTheStep) {
    const StepReport step = report();
    double sum = 0;
    for (const GroupTime& group : groups_of(step)) sum += group.seconds;
    EXPECT_DOUBLE_EQ(sum, step.seconds());
    EXPECT_EQ(groups_of(step)[0].kernels, 1);
    EXPECT_EQ(markdown(step).find("log-mel"), std::string::npos) << "an empty part";
    EXPECT_EQ(groups_of(step)[3].kernels, 2);
    EXPECT_GT(step.library_seconds(), 1e12 / 798e12 / 0.75);
    EXPECT_NEAR(step.floor_seconds(), 1e12 / 798e12, 1e-9);
}

} // namespace
} // namespace scene::counters
