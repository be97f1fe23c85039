#pragma once

#include "kernels/operands.h"
