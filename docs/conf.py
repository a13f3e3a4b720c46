"""The site: `sphinx-build -W --keep-going docs docs/_build/html`, with the extras `docs` and `examples` installed.

Pictures of the gallery come from the examples themselves, which run where `docs/pictures` has none newer than they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pygments.lexers import CppLexer

import mlx_sparse

HERE = Path(__file__).parent

project = "mlx_sparse"
release = version = mlx_sparse.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Names in single backticks lead to what they name, if that is public.
default_role = "py:obj"
add_module_names = False
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # docstrings say more
autodoc_inherit_docstrings = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_custom_sections = [("Attributes", "params_style"), ("Differences from SciPy", "notes")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"mlx_sparse {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = html_show_copyright = False
copybutton_prompt_text = ">>> |... "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False

# Example -> the option that names its picture.
PICTURES = {
    "communities": "--out",
    "gaussian_field": "--picture",
    "plate_modes": "--out",
    "point_cloud": "--out",
    "recover_coefficient": "--picture",
    "road_network": "--out",
    "solve_mesh": "--out",
}


def draw(app: Any) -> None:
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    for name, option in PICTURES.items():
        program, picture = HERE / "examples" / f"{name}.py", folder / f"{name}.png"
        if not picture.exists() or picture.stat().st_mtime < program.stat().st_mtime:
            print(f"drawing {picture.name}", flush=True)
            above = str(Path(mlx_sparse.__file__).parents[1])
            path = os.pathsep.join(filter(None, [above, os.environ.get("PYTHONPATH")]))
            subprocess.run(
                [sys.executable, program, option, picture],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"},
            )


def setup(app: Any) -> None:
    app.add_lexer("metal", CppLexer)
    app.connect("builder-inited", draw)
