#pragma once

#include <string>
#include <vector>

#include "kernels/files/json.h"
#include "tools/cli/command_line.h"
#include "train/evaluation/adaptation.h"
#include "train/evaluation/evaluate.h"

namespace scene {

/// --adapt and what belongs to it.
struct AdaptationOptions {
    bool adapt = false;
    AdaptationSettings settings;
};

void add_adaptation_options(Arguments& arguments, AdaptationOptions& options);
/// Fails for settings that cannot be.
void check_adaptation(const AdaptationSettings& settings);

/// The same clips judged three ways.
struct AdaptationResult {
    AdaptationSettings settings;
    Confusion network, memory, adapted; ///< the network; the votes of the labelled clips; votes while the memory grows
    int64_t labelled = 0, joined = 0;   ///< clips in the memory at first, and those that joined
};

/// `test` and `labelled` are evaluations of one model with embeddings.
AdaptationResult compare_adaptation(Device& device, const Evaluation& test, const Evaluation& labelled,
                                    const AdaptationSettings& settings);

std::string adaptation_table(const AdaptationResult& result);
nlohmann::ordered_json adaptation_json(const AdaptationResult& result);

} // namespace scene
