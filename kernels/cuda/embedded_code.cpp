#include "kernels/cuda/embedded_code.h"

#include <charconv>
#include <vector>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

std::vector<int> numbers_of(std::string_view archs) {
    std::vector<int> out;
    const char *at = archs.data(), *end = at + archs.size();
    while (at != end) {
        int arch = 0;
        const auto [stop, error] = std::from_chars(at, end, arch);
        SCENE_CHECK(error == std::errc(), "not a list of compute capabilities: " + std::string(archs));
        out.push_back(arch);
        at = stop == end ? end : stop + 1;
    }
    SCENE_CHECK(!out.empty(), "no compute capability");
    return out;
}

} // namespace

bool has_code_for(std::string_view archs, int major, int minor) {
    const std::vector<int> compiled = numbers_of(archs);
    for (const int arch : compiled)
        if (arch / 10 == major && arch % 10 <= minor) return true;
    return 10 * major + minor >= compiled.back();
}

std::string described_archs(std::string_view archs) {
    const std::vector<int> compiled = numbers_of(archs);
    std::string out;
    for (size_t i = 0; i < compiled.size(); ++i)
        out += fmt::format("{}{}.{}",
                           i == 0                     ? ""
                           : i + 1 == compiled.size() ? " and "
                                                      : ", ",
                           compiled[i] / 10, compiled[i] % 10);
    return out + " and newer";
}

} // namespace scene::cuda
