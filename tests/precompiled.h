// As kernels/precompiled.h, for the tests.

#include <gtest/gtest.h>

#include "kernels/precompiled.h"
