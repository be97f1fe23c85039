#pragma once

#include <string>
#include <vector>

#include "kernels/files/json.h"
#include "tools/cli/command_line.h"
#include "train/evaluation/adaptation.h"
#include "train/evaluation/evaluate.h"

namespace scene {

/// --adapt and the --adapt-... settings.
struct AdaptationOptions {
    bool adapt = false;
    AdaptationSettings settings;
};

void add_adaptation_options(Arguments& arguments, AdaptationOptions& options);
/// Throws Error for a setting out of range.
void check_adaptation(const AdaptationSettings& settings);

/// Three classifications of the same test clips (train/evaluation/adaptation.h).
struct AdaptationResult {
    AdaptationSettings settings;
    Confusion network;    ///< by the network
    Confusion memory;     ///< by the votes of the labelled clips
    Confusion adapted;    ///< by the votes of a memory that test clips join
    int64_t labelled = 0; ///< clips in the memory at first
    int64_t joined = 0;   ///< test clips that joined it
};

/// `test` and `labelled` are evaluations of one model with embeddings.
AdaptationResult compare_adaptation(Device& device, const Evaluation& test, const Evaluation& labelled,
                                    const AdaptationSettings& settings);

std::string adaptation_table(const AdaptationResult& result);
nlohmann::ordered_json adaptation_json(const AdaptationResult& result);

} // namespace scene
