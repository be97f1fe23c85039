#pragma once

#include <cstdlib>
#include <filesystem>

namespace scene::test {

/// Real data beside the project, which a fresh clone does not have: $SCENE_SHARED or ../shared.
inline std::filesystem::path shared_data() {
    const char* named = std::getenv("SCENE_SHARED");
    return std::filesystem::path(named ? named : "../shared") / "data";
}

} // namespace scene::test
