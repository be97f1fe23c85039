// The choice of CPU kernels, as a user sees it.

#include <cstdlib>

#include "kernels/cpu_isa.h"
#include "kernels/files/json.h"
#include "tests/tools/command.h"

namespace scene::test {
namespace {

using nlohmann::json;

/// Sets SCENE_ISA for the commands that run during its lifetime.
class IsaInEnvironment {
public:
    explicit IsaInEnvironment(const std::string& isa) { setenv("SCENE_ISA", isa.c_str(), 1); }
    ~IsaInEnvironment() { before_.empty() ? unsetenv("SCENE_ISA") : setenv("SCENE_ISA", before_.c_str(), 1); }

private:
    std::string before_ = std::getenv("SCENE_ISA") ? std::getenv("SCENE_ISA") : "";
};

TEST(Isa, InfoNamesTheChoiceAndTheEnvironmentForcesIt) {
    for (const CpuKernels* kernels : built_cpu_kernels()) {
        const std::string isa(kernels->isa);
        const IsaInEnvironment forced(isa);
        const Outcome outcome = scene_command({"info", "--json"});
        if (const std::string lacking = lacking_for(isa); !lacking.empty()) {
            EXPECT_TRUE(fails_with(outcome, 1, "SCENE_ISA=" + isa + ": this processor lacks " + lacking));
            continue;
        }
        ASSERT_EQ(outcome.status, 0) << outcome.err;
        const json info = parse_json(outcome.out);
        EXPECT_EQ(info.at("cpu_kernels").at("chosen"), isa);
        EXPECT_EQ(info.at("cpu_kernels").at("built").size(), built_cpu_kernels().size());
        EXPECT_NE(info.at("devices").at(0).at("name").get<std::string>().find(isa), std::string::npos);
        EXPECT_NE(scene_command({"info"}).out.find("CPU kernels    " + isa), std::string::npos);
    }
}

TEST(Isa, ANameThatIsNoneIsOneLine) {
    for (const char* wrong : {"v9", "avx2", "x86-64", "v3 "}) {
        const IsaInEnvironment forced(wrong);
        EXPECT_TRUE(fails_with(scene_command({"info"}), 1, "SCENE_ISA=" + std::string(wrong) + ": this build has"));
    }
    const IsaInEnvironment forced("");
    EXPECT_EQ(scene_command({"info"}).status, 0) << "an empty one is none";
}

} // namespace
} // namespace scene::test
