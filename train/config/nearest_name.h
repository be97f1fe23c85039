#pragma once

#include <string>
#include <vector>

namespace scene {

/// Optimal string alignment distance: the least number of letters to insert, delete or substitute, or to swap with
/// their neighbours.
size_t edit_distance(const std::string& a, const std::string& b);

/// The name that a user probably meant by `given`, or "". It is the one at the least edit distance, at most 3 and half
/// the letters of `given`; else the only one that begins with `given`, of 3 letters or more ("eval"). Leading dashes
/// are ignored.
std::string nearest_name(const std::string& given, const std::vector<std::string>& names);

} // namespace scene
