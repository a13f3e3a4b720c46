"""Compile the CUDA text of every shader, as MLX would build it, without a GPU.

Usage: check_shaders.py MLX_SOURCE_DIR [--arch sm_90] [--only NAME] [--keep FILE.cu]

MLX_SOURCE_DIR is a folder that holds ``mlx/backend/cuda/device`` (a checkout of MLX). Needs ``nvcc``, of CUDA's
toolkit or of PyPI's nvidia-cuda-nvcc, -cccl and -runtime with CPATH at their headers.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import embed_shaders
from embed_shaders import Shader

SHADERS = Path(__file__).parent.parent / "shaders"
VALUES = {
    "float32": "float",
    "complex64": "complex64_t",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "bool": "bool",
    "int8": "int8_t",
    "uint16": "uint16_t",
    "int64": "int64_t",
}
SUFFIXES = {"shape": "Shape", "strides": "Strides", "ndim": "int"}


def numbers(what: str) -> list[str]:
    """The values of ``bool``, ``1|2|4`` or ``0..7``."""
    if what == "bool":
        return ["true", "false"]
    first, _, last = what.partition("..")
    return [str(n) for n in range(int(first), int(last) + 1)] if last else what.split("|")


def constants(shader: Shader) -> list[dict[str, str]]:
    """Values of the parameters that are no types: every combination, but of long ranges their ends, all alike."""
    choices = {name: numbers(what) for name, what in shader.params.items() if what not in embed_shaders.TYPES}
    long = {name: choices.pop(name) for name in list(choices) if len(choices[name]) > 8}
    ends = [{name: values[end] for name, values in long.items()} for end in ((0, -1) if long else (0,))]
    found = itertools.product(*choices.values())
    return [dict(zip(choices, values, strict=True)) | end for values in found for end in ends]


def kernel(shader: Shader, name: str, value: str, index: str, fixed: dict[str, str]) -> str:
    acc = "float" if value in ("float16", "bfloat16") else VALUES[value]
    by_kind = {"value": VALUES[value], "single": VALUES[value], "index": index, "acc": acc, **embed_shaders.FIXED}
    types = {param: by_kind[what] for param, what in shader.params.items() if what in by_kind}
    args = []
    for arg, what in shader.inputs.items():
        args.append(f"const {types[what]}* {arg}")
        args += [f"const __grid_constant__ {t} {arg}_{s}" for s, t in SUFFIXES.items() if f"{arg}_{s}" in shader.body]
    args += [f"{types[what]}* {arg}" for arg, what in shader.outputs.items()]
    lines = [f"  using {param} = {t};" for param, t in types.items()]
    for param, number in fixed.items():
        lines.append(f"  constexpr {'bool' if shader.params[param] == 'bool' else 'int'} {param} = {number};")
    bounds = f" __launch_bounds__({shader.group}, {shader.resident})" if shader.resident else ""
    return f"__global__ void{bounds} {name}({', '.join(args)}) {{\n" + "\n".join(lines) + "\n" + shader.body + "}\n"


def translation_unit(shaders: list[Shader]) -> str:
    text = ['#include "mlx/backend/cuda/device/utils.cuh"', "#include <cooperative_groups.h>"]
    text += [
        *(path.read_text() for path in (SHADERS / "prelude_cuda.h", *sorted(SHADERS.glob("shared_*.h")))),
        "namespace mlx::core::cu {",
        "",
    ]
    for shader in shaders:
        kinds = shader.params.values()
        values = VALUES if "value" in kinds else ("float32", "complex64") if "single" in kinds else ("float32",)
        indices = ["int32_t", "int64_t"] if "index" in shader.params.values() else ["int32_t"]
        cases = itertools.product(values, indices, constants(shader))
        for i, (value, index, fixed) in enumerate(cases):
            text.append(kernel(shader, f"{shader.name}_{i}", value, index, fixed))
    return "\n".join(text) + "}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mlx_source", type=Path)
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--only")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        print("nvcc is not on PATH: nothing checked")
        return 1
    shaders = [s for s in embed_shaders.load(SHADERS) if options.only in (None, s.name)]
    with tempfile.TemporaryDirectory() as folder:
        source = options.keep or Path(folder) / "shaders.cu"
        source.write_text(translation_unit(shaders))
        command = [nvcc, "-std=c++20", f"-arch={options.arch}", "-cubin", "-I", str(options.mlx_source)]
        return subprocess.run([*command, str(source), "-o", str(Path(folder) / "shaders.cubin")]).returncode


if __name__ == "__main__":
    sys.exit(main())
