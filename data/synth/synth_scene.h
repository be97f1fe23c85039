#pragma once

// Ten synthetic acoustic scenes with the class names of CAS2023. A scene is a recipe: the probability, level and rate
// of each of sixteen ingredients (an engine, voices, steps, birds ...). No ingredient occurs in one scene only. Scenes
// differ mostly in how the sound changes over time, because a session's recording level is random and its room and
// microphone colour the mean spectrum.

#include <cstdint>
#include <string>
#include <vector>

namespace scene {

inline constexpr int synth_classes = 10, synth_cities = 8;
extern const std::vector<std::string> synth_class_names; ///< as in CAS2023, in its index order
extern const std::vector<std::string> synth_city_names;  ///< the cities of CAS2023's development set

/// How hard the scenes are to classify: harder with a smaller prominence and with larger values of the others.
struct SceneDifficulty {
    float prominence_db = 6;    ///< extra level of a recipe's first two ingredients, its signature
    float overlap = 0.3f;       ///< 0: recipes as written; 1: all scenes have the mean recipe
    float level_spread_db = 5;  ///< standard deviation of an ingredient's level from clip to clip
    float coloration_db = 7;    ///< standard deviation of the gains of a session's room and microphone filters
    float distractors = 0.08f;  ///< probability of an ingredient that is not in the recipe
    float noise_floor_db = -30; ///< of the recorder, relative to the scene
    float session_effect = 1;   ///< how far a session's room, microphone and gain are from their means; 0: not at all
};

struct SceneClip {
    int64_t clip = 0;    ///< seeds what happens in the clip
    int64_t session = 0; ///< seeds the room, the microphone and the character of the sources
    int label = 0;
    int city = 0; ///< shifts the sources' pitches slightly
};

/// Renders a clip: `samples` samples at 44.1 kHz within [-1, 1]. The same arguments give the same wave in any thread.
std::vector<float> render_scene(const SceneClip& clip, uint64_t seed, size_t samples,
                                const SceneDifficulty& difficulty);

} // namespace scene
