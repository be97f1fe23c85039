#include "tests/counters/counter_names.h"

namespace scene::counters {
namespace {

constexpr auto global_load = static_cast<size_t>(AccessKind::GlobalLoad);
constexpr auto global_store = static_cast<size_t>(AccessKind::GlobalStore);
constexpr auto global_atomic = static_cast<size_t>(AccessKind::GlobalAtomic);
constexpr auto shared_load = static_cast<size_t>(AccessKind::SharedLoad);
constexpr auto shared_store = static_cast<size_t>(AccessKind::SharedStore);
constexpr auto shared_atomic = static_cast<size_t>(AccessKind::SharedAtomic);

template <size_t kind, double AccessCounts::*field> double count(const KernelCounters& kernel) {
    return kernel.access[kind].*field;
}

template <size_t kind> double conflicts(const KernelCounters& kernel) {
    return kernel.access[kind].wavefronts - kernel.access[kind].least_wavefronts;
}

double product(const std::array<uint32_t, 3>& extent) { return static_cast<double>(extent[0]) * extent[1] * extent[2]; }

} // namespace

const std::vector<Counter>& counters() {
    using C = AccessCounts;
    using K = KernelCounters;
    static const std::vector<Counter> all = {
        {"launch__grid_size", "blocks", "blocks of the launch", [](const K& k) { return product(k.grid); }},
        {"launch__block_size", "threads", "threads of a block", [](const K& k) { return product(k.block); }},
        {"launch__shared_mem_per_block_dynamic", "bytes", "dynamic shared memory of a block",
         [](const K& k) { return static_cast<double>(k.shared_bytes); }},
        {"l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum", "", "load instructions of warps, global memory",
         count<global_load, &C::requests>},
        {"l1tex__t_requests_pipe_lsu_mem_global_op_st.sum", "", "store instructions of warps, global memory",
         count<global_store, &C::requests>},
        {"l1tex__t_requests_pipe_lsu_mem_global_op_atom.sum", "", "atomic instructions of warps, global memory",
         count<global_atomic, &C::requests>},
        {"l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum", "sectors", "32-byte sectors of those loads",
         count<global_load, &C::sectors>},
        {"l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum", "sectors", "32-byte sectors of those stores",
         count<global_store, &C::sectors>},
        {"l1tex__t_sectors_pipe_lsu_mem_global_op_atom.sum", "sectors", "32-byte sectors of those atomics",
         count<global_atomic, &C::sectors>},
        {"scene__least_sectors_global_op_ld.sum", "sectors", "the fewest that hold as many distinct bytes",
         count<global_load, &C::least_sectors>},
        {"scene__least_sectors_global_op_st.sum", "sectors", "the fewest that hold as many distinct bytes",
         count<global_store, &C::least_sectors>},
        {"smsp__inst_executed_op_shared_ld.sum", "", "load instructions of warps, shared memory",
         count<shared_load, &C::requests>},
        {"smsp__inst_executed_op_shared_st.sum", "", "store instructions of warps, shared memory",
         count<shared_store, &C::requests>},
        {"smsp__inst_executed_op_shared_atom.sum", "", "atomic instructions of warps, shared memory",
         count<shared_atomic, &C::requests>},
        {"l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum", "", "passes of those loads over the banks",
         count<shared_load, &C::wavefronts>},
        {"l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum", "", "passes of those stores over the banks",
         count<shared_store, &C::wavefronts>},
        {"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum", "", "passes above the least",
         conflicts<shared_load>},
        {"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum", "", "passes above the least",
         conflicts<shared_store>},
        {"scene__lanes_per_access.ratio", "threads", "threads that take part in an access, of 32",
         [](const K& k) { return lanes_per_access(k.access); }},
        {"scene__barriers.sum", "", "block barriers, once for each warp", [](const K& k) { return k.barriers; }},
        {"scene__warp_operations.sum", "", "shuffles, votes and barriers of warps",
         [](const K& k) { return k.warp_operations; }},
        {"scene__distinct_bytes_read.sum", "bytes", "global memory that was read, each byte once",
         [](const K& k) { return k.distinct_bytes_read; }},
        {"scene__distinct_bytes_written.sum", "bytes", "global memory that was written, each byte once",
         [](const K& k) { return k.distinct_bytes_written; }},
    };
    return all;
}

AccessCounts global_access(const AccessTable& access) {
    AccessCounts sum = access[global_load];
    sum += access[global_store];
    sum += access[global_atomic];
    return sum;
}

AccessCounts shared_access(const AccessTable& access) {
    AccessCounts sum = access[shared_load];
    sum += access[shared_store];
    sum += access[shared_atomic];
    return sum;
}

double lanes_per_access(const AccessTable& access) {
    AccessCounts sum = global_access(access);
    sum += shared_access(access);
    return sum.requests > 0 ? sum.lanes / sum.requests : 0;
}

double sector_use(const AccessCounts& access) { return access.sectors > 0 ? access.least_sectors / access.sectors : 1; }

double conflict_share(const AccessCounts& access) {
    return access.wavefronts > 0 ? (access.wavefronts - access.least_wavefronts) / access.wavefronts : 0;
}

} // namespace scene::counters
