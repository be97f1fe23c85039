// The script of make demo still reads what the commands print. Few clips and epochs: it takes seconds.

#include <cstdlib>
#include <regex>

#include <fmt/core.h>

#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

TEST(Demo, EndsWithTheThreeScores) {
    const TemporaryFolder folder;
    std::string config = read_text("configs/demo.toml");
    for (const auto& [key, value] : {std::pair{"epochs", "1"}, std::pair{"width", "0.05"}}) {
        const std::regex line(fmt::format("\n{} = [0-9.]+\n", key));
        ASSERT_TRUE(std::regex_search(config, line)) << config;
        config = std::regex_replace(config, line, fmt::format("\n{} = {}\n", key, value));
    }
    write_text(folder / "config.toml", config);
    const std::string command =
        fmt::format("SCENE={} DEMO_DIR={} CONFIG={} CLIPS=80 LABELLED=0.5 SECONDS_PER_CLIP=1 "
                    "bash tools/demo.sh > {} 2> {}",
                    scene_binary().string(), (folder / "demo").string(), (folder / "config.toml").string(),
                    (folder / "out").string(), (folder / "err").string());
    ASSERT_EQ(std::system(command.c_str()), 0) << read_text(folder / "err");
    const std::string out = read_text(folder / "out");
    const std::regex end("untrained network +0\\.\\d{3}\n"
                         "labelled clips alone \\(stage 1\\) +0\\.\\d{3}\n"
                         "with pseudo labels \\(stage 2\\) +0\\.\\d{3}\n"
                         "report: .*\n"
                         "test balanced accuracy 0\\.\\d{3}\n$");
    EXPECT_TRUE(std::regex_search(out, end)) << out;
}

} // namespace
} // namespace scene::test
