#pragma once

#include <string>

namespace scene::cuda {

/// The properties of a device as the JSON text that cuDNN takes: of "h100", which is built in, or the content of the
/// file `name`. Throws Error for anything else.
std::string device_profile(const std::string& name);

} // namespace scene::cuda
