"""Print the folder of the installed MLX that holds its headers, and its version. Does not import MLX."""

import importlib.metadata
import importlib.util
import pathlib
import sys

spec = importlib.util.find_spec("mlx")
for place in spec.submodule_search_locations if spec else ():
    if (pathlib.Path(place) / "include" / "mlx" / "mlx.h").exists():
        print(place)
        print(importlib.metadata.version("mlx"))
        break
else:
    sys.exit("MLX's headers were not found; install mlx[cpu]")
