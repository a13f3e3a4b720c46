"""Write the Metal text of every shader, as MLX makes it for its run-time compiler. Needs neither Metal nor a GPU.

    python tools/metal_text.py --out DIR

DIR gets one file a shader, with all its instances: dtypes, index dtypes, constants, and operands of fewer than 8
elements, which MLX puts into another address space. One command compiles all of it on a Mac:

    for f in DIR/*.metal; do
      xcrun -sdk macosx metal -std=metal3.1 -fno-fast-math -I "$(python tools/find_mlx.py | head -1)/include" \\
        -c "$f" -o /dev/null || echo "$f fails"
    done
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import check_shaders
import embed_shaders
import mlx.core as mx
from embed_shaders import Shader

SHADERS = Path(__file__).parent.parent / "shaders"
SINGLE = ("float32", "complex64")
SMALL = 8  # elements from which on an input is in the address space `device`


def instances(shader: Shader) -> Iterator[dict[str, Any]]:
    """The parameters of every instance: dtypes, numbers and booleans."""
    kinds = set(shader.params.values())
    values = check_shaders.VALUES if "value" in kinds else SINGLE if "single" in kinds else ("float32",)
    indices = ("int32", "int64") if "index" in kinds else ("int32",)
    for value, index, fixed in itertools.product(values, indices, check_shaders.constants(shader)):
        acc = "float32" if value in ("float16", "bfloat16") else value
        types = {"value": value, "single": value, "index": index, "acc": acc, "float32": "float32", "int32": "int32"}
        made: dict[str, Any] = {}
        for name, what in shader.params.items():
            if what in types:
                made[name] = getattr(mx, "bool_" if types[what] == "bool" else types[what])
            else:
                made[name] = fixed[name] == "true" if what == "bool" else int(fixed[name])
        yield made


def launch(shader: Shader, params: dict[str, Any], elements: int) -> None:
    """Have MLX print the text of one instance. It traces the launch for export, which takes no Metal."""
    kernel = mx.fast.metal_kernel(
        name=shader.name, input_names=list(shader.inputs), output_names=list(shader.outputs), source=shader.body
    )

    def traced(*inputs: mx.array) -> Any:
        return kernel(
            inputs=list(inputs),
            template=list(params.items()),
            grid=(shader.group, 1, 1),
            threadgroup=(shader.group, 1, 1),
            output_shapes=[(SMALL,)] * len(shader.outputs),
            output_dtypes=[params[what] for what in shader.outputs.values()],
            verbose=True,
        )

    # What a shader writes to is never that short: krylov_gpu.cpp sees to it.
    sizes = [SMALL if name in shader.written else elements for name in shader.inputs]
    given = [mx.zeros((n,), params[what]) for n, what in zip(sizes, shader.inputs.values(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        mx.export_function(str(Path(folder) / "launch.mlxfn"), traced, *given)


def printed(shader: Shader, elements: tuple[int, ...]) -> str:
    """What MLX prints of all instances. Its output goes to the process's, whatever Python calls that."""
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            for n, params in itertools.product(elements, instances(shader)):
                launch(shader, params, n)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode()


def kernels(shader: Shader, elements: tuple[int, ...] = (SMALL, 1)) -> list[str]:
    """The text of each instance: signature, body and instantiation."""
    found = printed(shader, elements).split("```")[1::2]
    return list(dict.fromkeys(text.strip() + "\n" for text in found))


def text(shader: Shader) -> str:
    """One file with every instance of a shader."""
    return "\n".join(
        [
            '#include "mlx/backend/metal/kernels/utils.h"\n',
            embed_shaders.header(shader, "metal", SHADERS),
            *kernels(shader),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for shader in embed_shaders.load(SHADERS):
        (folder / f"{shader.name}.metal").write_text(text(shader))
        print(f"{shader.name}.metal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
