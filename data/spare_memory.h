#pragma once

namespace scene {

/// Throws std::bad_alloc if 64 MB of address space cannot be had. Call it before libsndfile and soxr, which do not
/// check their own allocations. They take a few megabytes each for the block sizes used here; the 64 MB leave room for
/// many threads that pass this check at once.
void require_spare_memory();

} // namespace scene
