#include "kernels/cuda/cudnn/library.h"

#include <algorithm>

#include "kernels/cuda/dlopened_library.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

std::string version_text(size_t version) {
    return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

CudnnLibrary load() {
    const DlopenedLibrary library(fmt::format("libcudnn.so.{}", CUDNN_MAJOR), fmt::format("cuDNN {}", CUDNN_MAJOR));
    CudnnLibrary out;
    out.get_version = library.function<decltype(cudnnGetVersion)>("cudnnGetVersion");
    out.get_error_string = library.function<decltype(cudnnGetErrorString)>("cudnnGetErrorString");
    out.get_last_error_string = library.function<decltype(cudnnGetLastErrorString)>("cudnnGetLastErrorString");
    out.create = library.function<decltype(cudnnCreate)>("cudnnCreate");
    out.destroy = library.function<decltype(cudnnDestroy)>("cudnnDestroy");
    out.set_stream = library.function<decltype(cudnnSetStream)>("cudnnSetStream");
    out.create_descriptor = library.function<decltype(cudnnBackendCreateDescriptor)>("cudnnBackendCreateDescriptor");
    out.destroy_descriptor = library.function<decltype(cudnnBackendDestroyDescriptor)>("cudnnBackendDestroyDescriptor");
    out.finalize = library.function<decltype(cudnnBackendFinalize)>("cudnnBackendFinalize");
    out.set_attribute = library.function<decltype(cudnnBackendSetAttribute)>("cudnnBackendSetAttribute");
    out.get_attribute = library.function<decltype(cudnnBackendGetAttribute)>("cudnnBackendGetAttribute");
    out.execute = library.function<decltype(cudnnBackendExecute)>("cudnnBackendExecute");
    return out;
}

} // namespace

std::string CudnnLibrary::version() const { return version_text(get_version()); }

const CudnnLibrary& cudnn() {
    static const CudnnLibrary library = load();
    return library;
}

std::string cudnn_reason(cudnnStatus_t status) {
    char detail[1024] = "";
    cudnn().get_last_error_string(detail, sizeof detail);
    std::string line = detail;
    std::replace(line.begin(), line.end(), '\n', ' ');
    return fmt::format("{}{}{}", cudnn().get_error_string(status), line.empty() ? "" : ": ", line);
}

void fail_cudnn(cudnnStatus_t status, const std::string& what) {
    fail("cuDNN {}: {}: {}", cudnn().version(), what, cudnn_reason(status));
}

} // namespace scene::cuda
