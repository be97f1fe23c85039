#include "kernels/cuda/dlopened_library.h"

#include <utility>

#include <dlfcn.h>

#include "kernels/error.h"

namespace scene::cuda {

DlopenedLibrary::DlopenedLibrary(std::string file, std::string product)
    : file_(std::move(file)), product_(std::move(product)) {
    std::string reason;
    for (const std::string& name : {file_, "/usr/local/cuda/lib64/" + file_}) {
        library_ = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (library_) return;
        if (const char* message = dlerror(); message && reason.empty()) reason = message;
    }
    fail("{} cannot be loaded ({}); install it, or put its folder on LD_LIBRARY_PATH", product_, reason);
}

void* DlopenedLibrary::symbol(const char* name) const {
    void* address = dlsym(library_, name);
    if (!address) fail("{} ({}) is too old: it has no {}; install a newer one", product_, file_, name);
    return address;
}

} // namespace scene::cuda
