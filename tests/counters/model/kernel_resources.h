#pragma once

// What ptxas says of each kernel when the build compiles it (nvcc -Xptxas -v): registers, stack, spills, static shared
// memory. The build keeps what it says beside each object, as <object>.ptxas.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scene::counters {

struct KernelResources {
    int registers = 0;
    /// Bytes of a thread in local memory.
    int64_t stack_bytes = 0, spill_store_bytes = 0, spill_load_bytes = 0;
    int64_t static_shared_bytes = 0; ///< of a block
    bool operator==(const KernelResources&) const = default;
};

/// The resources of all kernels of a build.
class ResourceTable {
public:
    /// Adds the text that ptxas wrote for `source`, a path such as kernels/adam/cuda.cu.
    void add(const std::string& source, std::string_view ptxas_text);

    /// The kernel with this mangled name, for this architecture (90). Compilers name the anonymous namespace
    /// differently, so kernels of several sources can have one name: then that of one of `sources` is taken. Nothing if
    /// there is none, or several that differ.
    std::optional<KernelResources> find(const std::string& symbol, int architecture,
                                        const std::vector<std::string>& sources) const;
    bool empty() const { return kernels_.empty(); }

private:
    struct Entry {
        std::string source;
        int architecture = 0;
        KernelResources resources;
    };
    std::multimap<std::string, Entry> kernels_; ///< by the demangled name
};

/// All files *.cu.o.ptxas below a build folder; empty without nvcc.
ResourceTable resources_of_build(const std::filesystem::path& build);

/// "void f<int>(float*)" for a mangled name; the name itself if it is not mangled. The anonymous namespace reads the
/// same whichever compiler mangled it.
std::string demangled(const std::string& symbol);

} // namespace scene::counters
