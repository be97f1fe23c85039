#include "tests/counters/model/report_writer.h"

#include <fmt/format.h>

#include "kernels/files/atomic_file.h"
#include "tests/counters/model/html_page.h"

namespace scene::counters {

ReportWriter::ReportWriter(const std::string& gpu, const std::filesystem::path& build)
    : gpu_(gpu_properties(gpu)), resources_(resources_of_build(build)), code_(machine_code_in(build / "machine_code")) {
}

StepReport ReportWriter::write(const StepCounters& counters, const StepPlan& plan,
                               const std::filesystem::path& folder) const {
    StepReport report =
        report_of(counters, plan, gpu_, resources_, [&](const KernelCounters& kernel) { return code_.issued(kernel); });
    const std::string name = fmt::format("{}_{}", counters.program, counters.precision);
    write_file(folder / (name + ".html"), html_page(report, source_in_current_folder));
    write_file(folder / (name + ".predicted.json"), json_of(report));
    return report;
}

} // namespace scene::counters
