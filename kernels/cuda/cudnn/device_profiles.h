#pragma once

#include <string>

namespace scene::cuda {

/// The properties of a device as the JSON text that cuDNN takes: the built-in "h100", or the content of the file
/// `name`. Throws Error if there is no such file or it holds no JSON object.
std::string device_profile(const std::string& name);

} // namespace scene::cuda
