#include "tools/commands/adaptation.h"

#include "kernels/error.h"

namespace scene {
namespace {

/// `truth` has the class of each vote's clip.
Confusion confusion_of_votes(const std::vector<Vote>& votes, const std::vector<int32_t>& truth, int64_t classes) {
    Confusion confusion(classes);
    for (size_t i = 0; i < votes.size(); ++i)
        if (truth[i] >= 0) confusion.add(truth[i], votes[i].label);
    return confusion;
}

nlohmann::ordered_json scores(const Confusion& confusion) {
    return {{"balanced_accuracy", confusion.balanced_accuracy()}, {"accuracy", confusion.accuracy()}};
}

} // namespace

void add_adaptation_options(Arguments& arguments, AdaptationOptions& options) {
    const std::string group = "Test-time adaptation (AdaNPC)";
    AdaptationSettings& settings = options.settings;
    arguments
        .add_flag(
            "--adapt", options.adapt,
            "also by the votes of the labelled training clips nearest in the network's features, with and without "
            "test clips joining them")
        .group(group);
    arguments.add("--adapt-neighbours", settings.neighbours, "clips that vote (100)").group(group);
    arguments.add("--adapt-temperature", settings.temperature, "of the softmax over their similarities (0.1)")
        .group(group);
    arguments
        .add("--adapt-confidence", settings.confidence,
             "share of a vote that lets a test clip join; above 1: never (0.5)")
        .group(group);
    arguments.add("--adapt-growth", settings.growth, "test clips that may join (1000)").group(group);
    arguments.add("--adapt-batch", settings.batch, "test clips that vote before the first of them joins (64)")
        .group(group);
}

void check_adaptation(const AdaptationSettings& settings) {
    if (settings.neighbours < 1) fail("--adapt-neighbours {}: give 1 or more", settings.neighbours);
    if (!(settings.temperature > 0)) fail("--adapt-temperature {}: give a number above 0", settings.temperature);
    if (!(settings.confidence >= 0)) fail("--adapt-confidence {}: give 0 or more", settings.confidence);
    if (settings.growth < 0 || settings.growth > 10'000'000)
        fail("--adapt-growth {}: give a number of clips from 0 to 10000000", settings.growth);
    if (settings.batch < 1 || settings.batch > 65536)
        fail("--adapt-batch {}: give a number of clips from 1 to 65536", settings.batch);
}

AdaptationResult compare_adaptation(Device& device, const Evaluation& test, const Evaluation& labelled,
                                    const AdaptationSettings& settings) {
    const auto classes = static_cast<int64_t>(test.classes.size());
    const auto width = static_cast<int64_t>(labelled.embeddings.size() / labelled.truth.size());
    AdaptationSettings fixed = settings;
    fixed.growth = 0;
    MemoryBank memory(device, labelled.embeddings, labelled.truth, width, classes, fixed);
    MemoryBank adapted(device, labelled.embeddings, labelled.truth, width, classes, settings);
    AdaptationResult result{settings,
                            test.confusion,
                            confusion_of_votes(memory.classify(test.embeddings), test.truth, classes),
                            confusion_of_votes(adapted.classify(test.embeddings), test.truth, classes),
                            memory.size(),
                            0};
    result.joined = adapted.joined();
    return result;
}

std::string adaptation_table(const AdaptationResult& result) {
    std::string out = "                                  balanced accuracy  accuracy\n";
    const auto line = [&](const char* name, const Confusion& confusion) {
        out += fmt::format("{:<34}{:>17.4f}  {:>8.4f}\n", name, confusion.balanced_accuracy(), confusion.accuracy());
    };
    line("without adaptation: the network", result.network);
    line("votes of the labelled clips", result.memory);
    line("with adaptation: a growing memory", result.adapted);
    const AdaptationSettings& s = result.settings;
    return out + fmt::format("memory: {} labelled clips, {} test clips joined (at most {}) of a vote of {} or more; {} "
                             "neighbours, temperature {}, batches of {} in the store's order\n",
                             result.labelled, result.joined, s.growth, s.confidence, s.neighbours, s.temperature,
                             s.batch);
}

nlohmann::ordered_json adaptation_json(const AdaptationResult& result) {
    const AdaptationSettings& s = result.settings;
    return {{"without", scores(result.network)},
            {"votes", scores(result.memory)},
            {"with", scores(result.adapted)},
            {"labelled_clips", result.labelled},
            {"joined_clips", result.joined},
            {"neighbours", s.neighbours},
            {"temperature", s.temperature},
            {"confidence", s.confidence},
            {"growth", s.growth},
            {"batch", s.batch}};
}

} // namespace scene
