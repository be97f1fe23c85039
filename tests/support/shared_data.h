#pragma once

#include <cstdlib>
#include <filesystem>

namespace scene::test {

/// The folder `data` of $SCENE_SHARED, or of ../shared: real data, which a fresh clone does not have.
inline std::filesystem::path shared_data() {
    const char* named = std::getenv("SCENE_SHARED");
    return std::filesystem::path(named ? named : "../shared") / "data";
}

} // namespace scene::test
