#pragma once

#include <string>
#include <vector>

namespace scene {

/// Letters to insert, delete, exchange or swap with their neighbour.
size_t edit_distance(const std::string& a, const std::string& b);

/// The one of `names` that was probably meant by `given`; empty where none is near. Dashes before a name do not count,
/// and what begins like one name only ("eval") is near to it.
std::string nearest_name(const std::string& given, const std::vector<std::string>& names);

} // namespace scene
