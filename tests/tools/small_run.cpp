#include "tests/tools/small_run.h"

#include <memory>

#include "kernels/files/json.h"

namespace scene::test {

std::vector<std::string> SmallRun::train(const std::string& to, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train", store, "--config", config, "--split", "simulation", "--run", to};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

std::vector<std::string> SmallRun::prepare(const std::string& dataset, const std::string& out,
                                           const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"prepare", dataset, out, "--seconds", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

size_t SmallRun::test_clips() const {
    return parse_json(read_text(std::filesystem::path(run) / "split.json")).at("test").size();
}

const SmallRun& small_run() {
    static const std::unique_ptr<const SmallRun> made = [] {
        auto small = std::make_unique<SmallRun>();
        small->audio = small->folder / "audio";
        small->store = small->folder / "store.safetensors";
        small->config = small->folder / "small.toml";
        small->run = small->folder / "run";
        write_text(small->config, "system = \"small\"\n[model]\narchitecture = \"se-trans\"\nwidth = 0.125\n"
                                  "[training]\nbatch = 16\nepochs = 1\nlearning_rate = 1e-3\nhard_samples = false\n");
        const auto must = [](const std::vector<std::string>& arguments) {
            const Outcome outcome = scene_command(arguments);
            if (outcome.status != 0) throw std::runtime_error("cannot make the small run: " + outcome.err);
        };
        must(
            {"synth", small->audio, "--clips", std::to_string(SmallRun::clips), "--labelled", "0.5", "--seconds", "1"});
        must(small->prepare(small->audio, small->store));
        must(small->train(small->run));
        return small;
    }();
    return *made;
}

} // namespace scene::test
