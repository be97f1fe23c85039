#pragma once

// Ten synthetic acoustic scenes with the names of CAS2023's. A scene is a recipe: how likely each of sixteen
// ingredients (an engine, voices, steps, birds ...) is, how loud and how busy. No ingredient belongs to one scene
// alone. What tells scenes apart is mostly how the sound moves in time: loudness is drawn per session, and the mean
// spectrum is bent by the session's room and microphone.

#include <cstdint>
#include <string>
#include <vector>

namespace scene {

inline constexpr int synth_classes = 10, synth_cities = 8;
extern const std::vector<std::string> synth_class_names; ///< as in CAS2023, in its index order
extern const std::vector<std::string> synth_city_names;  ///< the cities of CAS2023's development set

/// What makes the task hard: a smaller prominence, and larger values of the others.
struct SceneDifficulty {
    float prominence_db = 6;    ///< extra level of the two ingredients that are a recipe's signature
    float overlap = 0.3f;       ///< 0: recipes as written, 1: all scenes have the same mean recipe
    float level_spread_db = 5;  ///< deviation of every ingredient's level from clip to clip
    float coloration_db = 7;    ///< deviation of the gains in a session's room and microphone filters
    float distractors = 0.08f;  ///< probability of an ingredient that a recipe does not mention
    float noise_floor_db = -30; ///< of the recorder, against the scene
    float session_effect = 1;   ///< how far a session's room, microphone and gain are from the mean one; 0: not at all
};

struct SceneClip {
    int64_t clip = 0;    ///< its number; draws what happens in it
    int64_t session = 0; ///< draws the room, the microphone and the character of the sources
    int label = 0;
    int city = 0; ///< shifts the sources' pitches a little
};

/// The wave at 44.1 kHz, `samples` long, within [-1, 1]. The same arguments give the same wave, in any thread.
std::vector<float> render_scene(const SceneClip& clip, uint64_t seed, size_t samples,
                                const SceneDifficulty& difficulty);

} // namespace scene
