#include "tests/counters/kernel_counters.h"

namespace scene::counters {

AccessCounts& AccessCounts::operator+=(const AccessCounts& other) {
    requests += other.requests;
    lanes += other.lanes;
    bytes += other.bytes;
    sectors += other.sectors;
    least_sectors += other.least_sectors;
    wavefronts += other.wavefronts;
    least_wavefronts += other.least_wavefronts;
    return *this;
}

} // namespace scene::counters
