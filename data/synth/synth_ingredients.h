#pragma once

#include <cstddef>
#include <vector>

#include "data/synth/synth_signal.h"

namespace scene {

/// What an ingredient is rendered from.
struct IngredientContext {
    RandomSequence& character; ///< properties of the source, the same for all clips of a session
    RandomSequence& random;    ///< what happens in the clip, different for every clip
    float pitch;               ///< factor on frequencies, from the city
    float rate;                ///< how busy; 1 is typical
};

enum class Ingredient {
    Rumble,
    Air,
    Engine,
    Whine,
    Babble,
    Talk,
    Clinks,
    Steps,
    Birds,
    Leaves,
    Music,
    PassBys,
    Impacts,
    Beeps,
    Rattle,
    Water
};
inline constexpr size_t ingredient_count = 16;

/// Adds the ingredient to a silent wave: continuous ones have a root mean square of 1, events peak at about 3.
void render_ingredient(Ingredient kind, std::vector<float>& wave, const IngredientContext& context);

} // namespace scene
