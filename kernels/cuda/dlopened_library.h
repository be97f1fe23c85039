#pragma once

#include <string>
#include <type_traits>
#include <vector>

namespace scene::cuda {

/// A shared library that is opened with dlopen when it is first needed, so that the program starts without it. It stays
/// open until the process ends: CUDA's libraries do not survive being unloaded.
class DlopenedLibrary {
public:
    /// Opens `file` from the loader's search path or else from /usr/local/cuda/lib64. Throws Error with the loader's
    /// reason; `product` is the library's name in the message.
    DlopenedLibrary(std::string file, std::string product);

    /// The function of this name. Throws Error if the library is too old to have it.
    template <typename Function> Function* function(const char* name) const {
        static_assert(std::is_function_v<Function>);
        return reinterpret_cast<Function*>(symbol(name));
    }

private:
    void* symbol(const char* name) const;

    std::string file_, product_;
    void* library_ = nullptr;
};

} // namespace scene::cuda
