// A stand-in for the driver, libcuda.so.1. cuDNN proposes engines that it compiles at run time only if it finds a
// driver with these functions. Nothing can run: there is no device.

#include <dlfcn.h>

namespace {

constexpr int not_found = 500, stub_library = 34; // CUDA_ERROR_NOT_FOUND, CUDA_ERROR_STUB_LIBRARY
int something;

} // namespace

extern "C" {

int cuInit(unsigned) { return stub_library; }
int cuGetExportTable(const void**, const void*) { return stub_library; }
int cuDriverGetVersion(int* version) {
    *version = 13000;
    return 0;
}
int cuGetProcAddress_v2(const char* name, void** function, int, unsigned long, int* status) {
    *function = dlsym(RTLD_DEFAULT, name);
    if (status) *status = *function ? 0 : 1;
    return *function ? 0 : not_found;
}

#define GIVES_SOMETHING(name)                                                                                          \
    int name(void** handle, ...) {                                                                                     \
        *handle = &something;                                                                                          \
        return 0;                                                                                                      \
    }
GIVES_SOMETHING(cuLibraryLoadData)
GIVES_SOMETHING(cuLibraryLoadFromFile)
GIVES_SOMETHING(cuLibraryGetKernel)

#define SUCCEEDS(name)                                                                                                 \
    int name(...) { return 0; }
SUCCEEDS(cuCtxGetCurrent)
SUCCEEDS(cuCtxGetLimit)
SUCCEEDS(cuCtxPopCurrent)
SUCCEEDS(cuCtxPushCurrent)
SUCCEEDS(cuDeviceGet)
SUCCEEDS(cuDeviceGetCount)
SUCCEEDS(cuGetErrorName)
SUCCEEDS(cuGetErrorString)
SUCCEEDS(cuKernelGetAttribute)
SUCCEEDS(cuKernelSetAttribute)
SUCCEEDS(cuLaunchCooperativeKernel)
SUCCEEDS(cuLaunchKernel)
SUCCEEDS(cuLaunchKernelEx)
SUCCEEDS(cuLibraryUnload)
SUCCEEDS(cuLinkAddData)
SUCCEEDS(cuLinkComplete)
SUCCEEDS(cuLinkCreate)
SUCCEEDS(cuLinkDestroy)
SUCCEEDS(cuOccupancyMaxPotentialClusterSize)
SUCCEEDS(cuStreamGetCtx)

} // extern "C"
