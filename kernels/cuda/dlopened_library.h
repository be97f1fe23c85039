#pragma once

#include <string>
#include <type_traits>
#include <vector>

namespace scene::cuda {

/// A shared library that is opened when it is first needed, so that the program starts where it is not installed. It
/// stays open until the process ends: the libraries of CUDA do not survive being unloaded.
class DlopenedLibrary {
public:
    /// `file` is looked for where the loader looks and then in the usual folder of the CUDA toolkit. Throws Error with
    /// the loader's reason; `product` is how the message names the library.
    DlopenedLibrary(std::string file, std::string product);

    /// Throws Error when the library is too old to have it.
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
