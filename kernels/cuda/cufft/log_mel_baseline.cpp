#include "kernels/cuda/cufft/log_mel_baseline.h"

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cufft/log_mel.h"
#include "kernels/device_buffer.h"
#include "kernels/error.h"

namespace scene {
namespace {

class Baseline final : public CufftLogMel {
public:
    Baseline(cuda::CudaDevice& device, const LogMelSpec& spec, int64_t clips)
        : context_(device.context()), transforms_(cuda::make_cufft_transforms()),
          scratch_(device,
                   cuda::log_mel_by_library_scratch_bytes(clips, cuda::most_transformed_at_once, spec, *transforms_)) {}

    void run(const LogMel<Tensor>& op) override {
        LogMel<Tensor> with_scratch = op;
        with_scratch.scratch = scratch_.tensor(DType::U8, {static_cast<int64_t>(scratch_.bytes())});
        cuda::log_mel_by_library(with_scratch, cuda::most_transformed_at_once, *transforms_, *context_.log_mel_tables,
                                 context_.stream);
    }

private:
    cuda::Context& context_;
    std::unique_ptr<cuda::FourierTransforms> transforms_;
    DeviceBuffer scratch_;
};

} // namespace

std::unique_ptr<CufftLogMel> make_cufft_log_mel(Device& device, const LogMelSpec& spec, int64_t clips) {
    auto* gpu = dynamic_cast<cuda::CudaDevice*>(&device);
    if (!gpu) fail("log-mel by cuFFT needs a GPU; use --device cuda");
    return std::make_unique<Baseline>(*gpu, spec, clips);
}

} // namespace scene
