#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/cuda/context.h"
#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/graph_map.h"
#include "kernels/cuda/planner.h"
#include "kernels/cuda/stream.h"
#include "kernels/device.h"
#include "kernels/log_mel/cuda_tables.h"

namespace scene::cuda {

/// An NVIDIA GPU: our kernels, and a library each for convolutions and matrix products. Ops are queued on one stream in
/// the order of the calls. Convolutions, and the batch norms and pools between them, work in the activation type; the
/// encoder, the head and everything else in F32.
class CudaDevice final : public Device {
public:
    CudaDevice(DType activation, std::unique_ptr<Convolutions> convolutions, std::unique_ptr<Gemm> gemm,
               Fusions fusions = Fusions::Quickest);
    ~CudaDevice() override;
    CudaDevice(const CudaDevice&) = delete;
    CudaDevice& operator=(const CudaDevice&) = delete;

    DeviceInfo info() const override;
    const Planner& planner() const override { return planner_; }
    void autotune(const std::vector<Conv2dShape>& shapes) override { planner_.autotune(shapes); }
    void* allocate(size_t bytes) override;
    void release(void* memory) override;
    void* import(const void* host, size_t bytes) override;
    void release_import(void* memory) override;
    void upload(void* device, const void* host, size_t bytes) override;
    void download(void* host, const void* device, size_t bytes) override;
    void synchronize() override;
    std::function<void()> record(std::function<void()> ops) override;
    double seconds_of(const std::function<void()>& ops) override;
    /// The nodes that `record` makes of these ops.
    std::vector<GraphNode> graph_nodes(const std::function<void()>& ops);

    void begin_range(const std::string& name) override;
    void end_range() override;

    Context& context() { return context_; }

private:
    void* device_memory(size_t bytes);

    Stream stream_; // first, so that it outlives the libraries' handles, which refer to it
    std::unique_ptr<Gemm> gemm_;
    CudaPlanner planner_;
    LogMelTables log_mel_tables_;
    Context context_;
    std::map<void*, size_t> allocations_; ///< bytes of everything that is allocated, log-mel tables included
    bool recording_ = false;
    GraphMap* map_ = nullptr; ///< while graph_nodes records
};

} // namespace scene::cuda
