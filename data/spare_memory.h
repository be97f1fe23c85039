#pragma once

namespace scene {

/// std::bad_alloc where there is not the memory that a decoder and a resampler take. They do not ask whether they got
/// what they asked for; so this does, before they are called. They are given blocks of bounded size, for which they
/// take a few megabytes; what is tried is enough for many threads that come here at once.
void require_spare_memory();

} // namespace scene
