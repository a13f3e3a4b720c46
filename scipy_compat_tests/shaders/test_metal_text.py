"""The text that MLX would hand to Metal's compiler, and what compilers of the other executors cannot see in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "shaders").is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools"))
import embed_shaders  # noqa: E402
import metal_text  # noqa: E402

PATHS = sorted((ROOT / "shaders").glob("*.metal"))
SPACES = ("device", "constant", "threadgroup", "thread")
# A star or an ampersand right behind a type, as pointers and references are written here; operators have spaces around.
POINTER = re.compile(r"(?:\b(\w+) )?(?:const )?\b([A-Za-z_]\w*(?:<\w+>)?)[*&](?=[ )\w])(?!&)")
# Words of Metal's language that C++ leaves free.
RESERVED = "kernel|vertex|fragment|device|constant|thread|threadgroup|half|sampler|uint|ushort|uchar|ulong"


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def made(request):
    """One shader and the text of its first and last instances, by length of its operands."""
    shader = embed_shaders.parse(request.param)
    every = list(metal_text.instances(shader))
    original, metal_text.instances = metal_text.instances, lambda _: [every[0], every[-1]]
    shader.body = without_comments(shader.body)
    try:
        return shader, metal_text.kernels(shader)
    finally:
        metal_text.instances = original


def pointers_without_space(text):
    found = []
    for match in POINTER.finditer(text):
        before = text[max(0, match.start() - 40) : match.end()]
        if not re.search(rf"\b({'|'.join(SPACES)})\b[\w ]*[*&]$", before):
            found.append(match[0])
    return found


def depth_of(text, at):
    return text.count("{", 0, at) - text.count("}", 0, at)


def test_pointers_have_address_spaces(made):
    for text in made[1]:
        assert not pointers_without_space(text)


def test_short_operands_are_constant_memory_that_nobody_writes(made):
    shader, texts = made
    short = texts[-1]
    for name in shader.inputs:
        space = "device" if name in shader.written else "constant"
        assert re.search(rf"const {space} \w+\* {name} \[\[buffer\(\d+\)\]\]", short)
        assert re.search(rf"const device \w+\* {name} \[\[buffer\(\d+\)\]\]", texts[0])
    for name in shader.outputs:
        assert re.search(rf"  device \w+\* {name} \[\[buffer\(\d+\)\]\]", short)
    for name in set(shader.inputs) - set(shader.written):
        assert not re.search(rf"\b(SP_TICKET|SP_ATOMIC_ADD|SP_INPLACE)\((\w+, )?{name}\b", shader.body)
        assert not re.search(rf"^\s*{name}\[[^\]]*\] [-+*/]?= ", shader.body, re.M)


def test_threadgroup_memory_is_declared_at_the_top_of_the_kernel(made):
    for text in made[1]:
        for declared in re.finditer(r"\bSP_SHARED\(|\bthreadgroup \w+ \w+\[", text):
            assert depth_of(text, declared.start()) == 1


def test_no_number_has_eight_bytes_that_metal_lacks(made):
    for text in made[1]:
        assert not re.search(r"\bdouble\b|\blong long\b|\blong\b|\bsize_t\b", text)
        assert not re.search(r"\d\.\d*(?![\dfe])", text)


def test_atomics_have_four_bytes(made):
    # An atomic addition is of int32 or float32: an output or an inout that is declared so.
    shader, texts = made
    of = {**shader.inputs, **shader.outputs}
    for macro, name in re.findall(r"\b(SP_TICKET|SP_ATOMIC_ADD)\((\w+)\[", shader.body):
        assert shader.params[of[name]] == ("int32" if macro == "SP_TICKET" else "float32")
    for text in texts:
        assert not re.search(r"\batomic", text), "by macros of the preludes only"


def test_no_name_is_a_word_of_metal(made):
    shader, _ = made
    assert not re.search(rf"\b({RESERVED})\b", shader.body)
    assert not re.search(rf"\b({RESERVED})\b", " ".join([*shader.inputs, *shader.outputs, *shader.params]))


def test_buffers_fit_the_argument_table(made):
    for text in made[1]:
        numbers = [int(n) for n in re.findall(r"\[\[buffer\((\d+)\)\]\]", text)]
        assert numbers == list(range(len(numbers))) and len(numbers) <= 31


def test_preludes():
    folder = metal_text.SHADERS
    text = "".join(
        (folder / name).read_text() for name in ["prelude_metal.h", *(p.name for p in folder.glob("shared_*.h"))]
    )
    text = without_comments(text)
    assert not pointers_without_space(text)
    assert not re.search(r"\bdouble\b|\bauto\b|\d\.\d+(?!f)", text)
    assert set(re.findall(r"\batomic_\w+(?=\*)", text)) == {"atomic_int", "atomic_float"}
    assert "#define SP_SHARED(A, name, n) threadgroup A name[n]" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("const float* p = x;", True),
        ("const device float* p = x;", False),
        ("*(device T*)&(element)", False),
        ("T& z = y[0];", True),
        ("a * b && c & d", False),
    ],
)
def test_what_counts_as_a_pointer(text, found):
    assert bool(pointers_without_space(text)) is found


def test_every_instance_is_written(tmp_path):
    command = [sys.executable, ROOT / "tools" / "metal_text.py", "--out", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in PATHS}
    for path in PATHS:
        shader, text = embed_shaders.parse(path), (tmp_path / path.name).read_text()
        assert text.startswith('#include "mlx/backend/metal/kernels/utils.h"')
        assert text.count("[[host_name(") == 2 * len(list(metal_text.instances(shader)))
        assert text.count(embed_shaders.header(shader, "metal", metal_text.SHADERS)) == 1


def test_what_shaders_share_stands_before_those_that_name_it():
    shared = {shader.name: shader.shared for shader in embed_shaders.load(metal_text.SHADERS)}
    assert shared["krylov_pass"] == ["numbers"] and shared["cs_residual"] == ["triple"]
    assert shared["segment_reduce"] == ["segments"] and shared["cs_matmul_vector"] == []
