"""Turn the shader sources into C++: the registry that launch.cpp reads and the host executor's kernels.

Usage: embed_shaders.py SHADERS_DIR DEPENDENCIES.d SHADER_TABLE.cpp HOST_KERNELS.inc HOST_KERNELS_LIST.inc

Every `.metal` file of the folder is a shader: a new one needs no other entry.

A shader file is a contract comment, then its signature, then the body of one kernel::

    //! in NAME: TYPE, ...
    //! inout NAME: TYPE, ...
    //! out NAME: TYPE, ...
    //! with NAME: value | single | index | acc | float32 | int32 | bool | INT|INT|... | INT..INT, ...

``#include "NAME.inc"`` on a line of its own stands for that file's text. ``TYPE`` is one of the names declared by
``with``. What is ``inout`` is an input that the shader writes to, by ``SP_INPLACE``. The launcher makes an input
``OUT_like`` from the output ``OUT``, for its shape alone. ``INT|INT`` may stand in types and sizes; ``INT..INT`` is a
plain number on the host.

What several shaders call stands in ``shared_*.h``; a GPU is given those of which the shader names something, behind the
prelude. Its compiler's text has no comments and no indentation: MLX hashes all of it at every launch.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

SIGNATURE = re.compile(r"^//! (in|inout|out|with) (.+)$", re.M)
INCLUDE = re.compile(r'^[ \t]*#include "(\w+\.inc)"\n', re.M)
GROUP = re.compile(r"^constexpr int GROUP = (\d+);$", re.M)
RESIDENT = re.compile(r"^constexpr int RESIDENT = (\d+);$", re.M)
FIXED = {"float32": "float", "int32": "int32_t"}
TYPES = ("value", "single", "index", "acc", *FIXED)
KINDS = (*TYPES, "bool")


@dataclass
class Shader:
    name: str
    body: str
    group: int
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  # the inputs that are inout
    shared: list[str] = field(default_factory=list)  # the files shared_NAME.h of which it names something
    resident: int = 0  # groups that a multiprocessor of CUDA is to hold at least; 0: as it comes


def expand(path: Path) -> str:
    """The text of a file with the files that it includes in their places."""
    return INCLUDE.sub(lambda found: expand(path.parent / found[1]), path.read_text())


def bare(text: str) -> str:
    """Without comments, indentation and empty lines."""
    lines = (re.sub(r"\s*//.*$", "", line).strip() for line in text.splitlines())
    return "".join(line + "\n" for line in lines if line)


def shared_names(folder: Path) -> dict[str, set[str]]:
    """What each shared_NAME.h defines, by NAME."""
    return {
        path.stem.removeprefix("shared_"): set(re.findall(r"\bsp_\w+", bare(path.read_text())))
        - set(re.findall(r"\bsp_\w+", (folder / "prelude_metal.h").read_text()))
        for path in sorted(folder.glob("shared_*.h"))
    }


def header(shader: Shader, compiler: str, folder: Path) -> str:
    """What stands before the kernel, behind MLX's own text."""
    files = [f"prelude_{compiler}.h", *(f"shared_{part}.h" for part in shader.shared)]
    return bare("".join((folder / name).read_text() for name in files))


def parse(path: Path) -> Shader:
    text = expand(path)
    group = GROUP.search(text)
    if group is None:
        raise ValueError(f"{path.name}: no line 'constexpr int GROUP = N;'")
    body = bare(text)
    resident = RESIDENT.search(text)
    shader = Shader(path.stem, body, int(group[1]), resident=int(resident[1]) if resident else 0)
    parts = {"in": shader.inputs, "inout": shader.written, "out": shader.outputs, "with": shader.params}
    for kind, items in SIGNATURE.findall(text):
        for item in items.split(","):
            name, _, what = item.partition(":")
            parts[kind][name.strip()] = what.strip()
    shader.inputs |= shader.written
    used = set(re.findall(r"\bsp_\w+", body))
    shader.shared = [part for part, defined in shared_names(path.parent).items() if used & defined]
    check(shader)
    return shader


def check(shader: Shader) -> None:
    names = list(shader.inputs) + list(shader.outputs)
    for name, what in shader.params.items():
        if what not in KINDS and not re.fullmatch(r"\d+((\|\d+)*|\.\.\d+)", what):
            raise ValueError(f"{shader.name}: parameter {name} has unknown kind {what!r}")
    for name, what in {**shader.inputs, **shader.outputs}.items():
        if what not in shader.params:
            raise ValueError(f"{shader.name}: {name} has type {what!r}, which 'with' does not declare")
    # MLX finds NAME_shape by substring, so no name may end with another.
    for a in names:
        for b in names:
            if a != b and a.endswith(b) and f"{a}_" in shader.body and b in shader.inputs:
                raise ValueError(f"{shader.name}: the name {a} ends with the input name {b}")


def load(folder: Path) -> list[Shader]:
    return [parse(path) for path in sorted(folder.glob("*.metal"))]


def raw(text: str) -> str:
    # Compilers cap one literal near 64 kB; adjacent literals are joined.
    pieces = [text[i : i + 12000] for i in range(0, len(text), 12000)]
    return "\n".join(f'R"sp_text({piece})sp_text"' for piece in pieces)


def names(items: dict[str, str]) -> str:
    return "{" + ", ".join(f'{{"{name}", "{what}"}}' for name, what in items.items()) + "}"


def table(shaders: list[Shader], folder: Path) -> str:
    out = ['#include "launch.h"', "", '#include "executor/kernels.h"', "", "namespace sp {", ""]
    for path in (*map(folder.joinpath, ("prelude_metal.h", "prelude_cuda.h")), *sorted(folder.glob("shared_*.h"))):
        out += [f"const char* const {path.stem} = {raw(bare(path.read_text()))};", ""]
    out += ["const std::vector<Shader>& shaders() {", "  static const std::vector<Shader> all = {"]
    for s in shaders:
        out.append(f'      {{"{s.name}", {s.group}, {s.resident}, {names(s.inputs)}, {names(s.outputs)},')
        shared = ", ".join(f"shared_{part}" for part in s.shared)
        out.append(f"       {names(s.params)}, {{{shared}}}, {raw(s.body)}, host_{s.name}}},")
    out += ["  };", "  return all;", "}", "", "} // namespace sp", ""]
    return "\n".join(out)


def template_names(s: Shader) -> list[str]:
    """Booleans and ranges are plain arguments on the host, to spare the compiler their instances."""
    return [name for name, what in s.params.items() if not is_plain(what)]


def is_plain(what: str) -> bool:
    return what == "bool" or ".." in what


def plain_type(what: str) -> str:
    return "bool" if what == "bool" else "int"


def host_buffer(s: Shader, name: str, what: str) -> str:
    return f"{'Out' if name in s.written or name in s.outputs else 'In'}<{what}>"


def argument(s: Shader, name: str, what: str) -> str:
    buffer = f"{host_buffer(s, name, what)} {name}"
    return f"{buffer}, const int* {name}_shape, int {name}_ndim" if name in s.inputs else buffer


def kernel(s: Shader) -> str:
    params = ", ".join(f"{'class' if s.params[name] in TYPES else 'int'} {name}" for name in template_names(s))
    args = [f"const {plain_type(what)} {name}" for name, what in s.params.items() if is_plain(what)]
    args += [f"[[maybe_unused]] {a}" for n, w in s.inputs.items() for a in argument(s, n, w).split(", ")]
    args += [argument(s, n, w) for n, w in s.outputs.items()]
    return (
        f"template <{params}>\nvoid {s.name}(HostGroup& host_group,\n    "
        + ",\n    ".join(args)
        + ") {\n  [[maybe_unused]] const GridPosition threadgroup_position_in_grid = host_group.position;\n"
        + f'#include "{s.name}.metal"\n}}\n'
    )


def dispatch(s: Shader) -> str:
    out = [f"void host_{s.name}(const HostLaunch& launch) {{"]
    depth = 0
    args = []
    for name, what in s.params.items():
        if what == "acc":
            value = next(n for n, w in s.params.items() if w == "value")
            out.append(f"  using {name} = acc_t<{value}>;")
            continue
        if what in FIXED:
            out.append(f"  using {name} = {FIXED[what]};")
            continue
        if is_plain(what):
            out.append(f'  const {plain_type(what)} {name} = launch.constant("{name}");')
            args.append(name)
            continue
        if what in ("value", "single", "index"):
            types = "shared" if what == "value" else what
            out.append(f'  dispatch_{types}(launch.type("{name}"), [&](auto tag_{name}) {{')
            out.append(f"  using {name} = typename decltype(tag_{name})::type;")
        else:
            cases = what.replace("|", ", ")
            out.append(f'  dispatch_constant<{cases}>(launch.constant("{name}"), [&](auto tag_{name}) {{')
            out.append(f"  constexpr int {name} = decltype(tag_{name})::value;")
        depth += 1
    for i, (name, what) in enumerate(s.inputs.items()):
        out.append(f'  const {host_buffer(s, name, what)} in{i}(launch, launch.inputs[{i}], "{name}");')
        args.append(f"in{i}, launch.inputs[{i}].shape.data(), int(launch.inputs[{i}].shape.size())")
    for i, (name, what) in enumerate(s.outputs.items()):
        out.append(f'  const Out<{what}> out{i}(launch, launch.outputs[{i}], "{name}");')
        args.append(f"out{i}")
    out.append("  each_group(launch, [&](HostGroup& group) {")
    out.append(f"    {s.name}<{', '.join(template_names(s))}>(group, {', '.join(args)});")
    out += ["  });", "  " + "}); " * depth, "}", ""]
    return "\n".join(out)


def main(folder: Path, dependencies: Path, table_path: Path, kernels_path: Path, list_path: Path) -> None:
    shaders = load(folder)
    # The folder itself changes when a file is added or removed.
    read = [folder, *sorted(p for p in folder.iterdir() if p.suffix in (".metal", ".inc", ".h"))]
    dependencies.write_text(f"{table_path}: " + " ".join(str(p).replace(" ", "\\ ") for p in read) + "\n")
    table_path.write_text(table(shaders, folder))
    kernels_path.write_text("\n".join(kernel(s) + "\n" + dispatch(s) for s in shaders))
    list_path.write_text("".join(f"void host_{s.name}(const HostLaunch& launch);\n" for s in shaders))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
