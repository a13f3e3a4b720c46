"""The shader texts themselves: what every one must declare, and what no compiler of the three would forgive."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "shaders").is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools"))
import embed_shaders  # noqa: E402

PATHS = sorted((ROOT / "shaders").glob("*.metal"))
ATTRIBUTES = {"threadgroup_position_in_grid", "thread_index_in_threadgroup"}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_begins_with_a_contract(path):
    first = path.read_text().splitlines()[0]
    assert re.match(r"// \w+\[.+\] \+?= ", first), "the first line gives the formula of the output"
    assert "Cost:" in path.read_text()


def test_signature_parses(path):
    shader = embed_shaders.parse(path)
    assert shader.inputs and shader.outputs and shader.params
    assert shader.group % 32 == 0


def test_every_parameter_is_used(path):
    shader = embed_shaders.parse(path)
    for name in [*shader.inputs, *shader.outputs]:
        assert re.search(rf"\b{name}(\b|_shape\b)", shader.body), name


def test_positions_stand_in_the_body(path):
    # MLX finds Metal's attributes by substring in the body, so none may hide in a prelude or stand in a comment.
    body = embed_shaders.parse(path).body
    assert all(name in body for name in ATTRIBUTES)
    assert not re.search(r"simdgroup|quadgroup|threads_per|thread_position_in_grid|grid_size", body)


def block(text):
    """What the first braces of the text enclose."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "}" and depth == 0:
            return text[:at]
    raise ValueError("braces that do not close")


def test_only_what_three_compilers_share(path):
    body = embed_shaders.parse(path).body
    assert not re.search(r"\bdouble\b|\bauto\b|\[&?\]\s*\(|\bunsigned\b|\d\.\d+(?!f)", body)
    for start in re.finditer(r"SP_THREADS", body):
        assert "return" not in block(body[start.end() :]), "return would skip a barrier"


def test_threadgroup_memory_fits(path):
    # Metal allows 32 kB; 8-byte values and the largest chunk are the worst case.
    shader = embed_shaders.parse(path)
    sizes: dict = {"GROUP": shader.group, "sizeof": lambda kind: 8, "T": "T"}
    for name, what in shader.params.items():
        if re.fullmatch(r"[\d|]+", what):
            sizes[name] = max(map(int, what.split("|")))
    for name, value in re.findall(r"constexpr int (\w+) = (.+);", shader.body):
        sizes[name] = eval(value.replace("/", "//"), {}, sizes)
    shared = re.findall(r"SP_SHARED\((\w+), \w+, (.+)\);", shader.body)
    total = sum((4 if kind == "int" else 8) * eval(count, {}, sizes) for kind, count in shared)
    assert total <= 32 * 1024


def test_names_that_mlx_would_confuse():
    with pytest.raises(ValueError, match="ends with the input name"):
        embed_shaders.check(
            embed_shaders.Shader("bad", "ab_shape[0]", 32, {"ab": "I", "b": "I"}, {"y": "I"}, {"I": "index"})
        )


def test_undeclared_type():
    with pytest.raises(ValueError, match="does not declare"):
        embed_shaders.check(embed_shaders.Shader("bad", "", 32, {"a": "T"}, {"y": "I"}, {"I": "index"}))


def test_long_text_is_split():
    assert embed_shaders.raw("x" * 30000).count('R"sp_text(') == 3
