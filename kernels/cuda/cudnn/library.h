#pragma once

#include <string>

#include <cudnn_graph.h>

namespace scene::cuda {

/// The cuDNN functions that are used here, from dlopen.
struct CudnnLibrary {
    decltype(&cudnnGetVersion) get_version;
    decltype(&cudnnGetErrorString) get_error_string;
    decltype(&cudnnGetLastErrorString) get_last_error_string;
    decltype(&cudnnCreate) create;
    decltype(&cudnnDestroy) destroy;
    decltype(&cudnnSetStream) set_stream;
    decltype(&cudnnBackendCreateDescriptor) create_descriptor;
    decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
    decltype(&cudnnBackendFinalize) finalize;
    decltype(&cudnnBackendSetAttribute) set_attribute;
    decltype(&cudnnBackendGetAttribute) get_attribute;
    decltype(&cudnnBackendExecute) execute;

    /// "9.19.0"
    std::string version() const;
};

/// Opens cuDNN on the first call. Throws Error with one line if that fails.
const CudnnLibrary& cudnn();

/// What cuDNN says about its last failure, which had this status, in one line.
std::string cudnn_reason(cudnnStatus_t status);

/// Throws Error: what was tried, and what cuDNN says about it.
[[noreturn]] void fail_cudnn(cudnnStatus_t status, const std::string& what);

inline void check_cudnn(cudnnStatus_t status, const char* what) {
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, what);
}

} // namespace scene::cuda
