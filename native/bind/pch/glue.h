// As mlx.h, for what binds: pybind11's headers take as long again.
#pragma once

#include "../../pch/mlx.h"

#include <pybind11/pybind11.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>
