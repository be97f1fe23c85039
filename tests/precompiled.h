// As kernels/precompiled.h, for the tests.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernels/precompiled.h"
