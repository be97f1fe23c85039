#include "tests/counters/model/occupancy.h"

#include <limits>

namespace scene::counters {
namespace {

constexpr int64_t lanes = 32, partitions = 4;
constexpr int64_t register_unit = 256; ///< registers are given to a warp in units of this many
constexpr int64_t shared_unit = 128;   ///< bytes
constexpr int64_t most_registers = 255, most_threads = 1024;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// A multiprocessor has four parts, each with a quarter of the registers, and a warp lives in one of them.
int64_t blocks_by_registers(const GpuProperties& gpu, int64_t registers, int64_t warps) {
    const int64_t of_warp = round_up(registers * lanes, register_unit);
    if (of_warp == 0) return std::numeric_limits<int64_t>::max();
    if (registers > most_registers) return 0;
    return gpu.registers / partitions / of_warp * partitions / warps;
}

} // namespace

std::string_view name_of(Limit limit) {
    switch (limit) {
    case Limit::Warps: return "warps";
    case Limit::Blocks: return "blocks";
    case Limit::Registers: return "registers";
    case Limit::SharedMemory: return "shared memory";
    }
    return "";
}

Occupancy occupancy(const GpuProperties& gpu, int registers, int64_t block_threads, int64_t shared_bytes) {
    Occupancy result;
    if (block_threads < 1 || block_threads > most_threads) return result;
    const int64_t warps = (block_threads + lanes - 1) / lanes;
    const int64_t of_block = round_up(shared_bytes + gpu.reserved_shared_bytes, shared_unit);
    int64_t blocks = gpu.warps / warps;
    const auto limited_to = [&](Limit limit, int64_t by_limit) {
        if (by_limit < blocks) blocks = by_limit, result.limit = limit;
    };
    limited_to(Limit::Registers, blocks_by_registers(gpu, registers, warps));
    limited_to(Limit::SharedMemory, of_block == 0 ? blocks : gpu.shared_bytes / of_block);
    limited_to(Limit::Blocks, gpu.blocks);
    result.blocks = static_cast<int>(blocks);
    result.warps = static_cast<int>(blocks * warps);
    result.share = static_cast<double>(result.warps) / gpu.warps;
    return result;
}

} // namespace scene::counters
