"""Pictures of where entries are: shares of tiles against counts over dense arrays, spy and notebooks."""

import re
import xml.etree.ElementTree

import matplotlib
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import _display

matplotlib.use("agg")

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def example(m, n, density=0.2):
    return scipy.sparse.random_array((m, n), density=density, rng=np.random.default_rng(m + n))


@pytest.mark.parametrize("shape", [(7, 5), (40, 3), (1, 64), (33, 50), (5, 0), (0, 0)])
@pytest.mark.parametrize("bins", [1, 4, 7, 100])
def test_shares(shape, bins):
    S = example(*shape)
    found = _display.shares_of_bins(sp.csr_array(S), bins)
    counts = [min(bins, n) for n in shape]
    assert found.shape == tuple(counts)
    tile = [np.arange(n) * k // max(n, 1) for k, n in zip(counts, shape, strict=True)]
    stored = S.toarray() != 0
    for i, j in np.ndindex(*counts):
        places = stored[np.ix_(tile[0] == i, tile[1] == j)]
        assert places.size and found[i, j] == pytest.approx(places.mean())


@pytest.mark.parametrize("format", FORMATS)
def test_spy(format):
    from matplotlib.figure import Figure

    S = example(12, 9)
    ax = Figure().subplots()
    assert sp.csr_array(S).asformat(format).spy(ax) is ax
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array() > 0, S.toarray() != 0)
    assert image.get_extent() == [-0.5, 8.5, 11.5, -0.5]


def test_spy_takes_the_current_axes_and_options():
    import matplotlib.pyplot as plt

    try:
        plt.figure()
        ax = sp.eye_array(2000).spy(bins=10, cmap="Blues")
        assert (
            ax is plt.gca() and ax.images[0].get_array().shape == (10, 10) and ax.images[0].get_cmap().name == "Blues"
        )
    finally:
        plt.close("all")


def test_spy_refuses():
    with pytest.raises(ValueError, match="two dimensions, got 3"):
        sp.coo_array((2, 2, 2)).spy()
    with pytest.raises(TypeError, match="Axes, got int"):
        sp.eye_array(3).spy(7)
    for bins in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="bins must be a positive int"):
            sp.eye_array(3).spy(bins=bins)


@pytest.mark.parametrize("cls", ["array", "matrix"])
@pytest.mark.parametrize("format", FORMATS)
def test_notebooks(format, cls):
    S = example(300, 100)
    A = getattr(sp, f"{format}_{cls}")(sp.csr_array(S))
    dtype = np.asarray(A.diagonal()).dtype.name  # float32 on a GPU
    text = A._repr_html_()
    xml.etree.ElementTree.fromstring(text)  # well formed
    for words in (f"<td>{format}</td>", "<td>300 × 100</td>", dtype, f"<td>{A.nnz:,}</td>"):
        assert words in text
    opacities = [float(x) for x in re.findall(r"fill-opacity='([\d.]+)'", text)]
    assert len(opacities) == np.count_nonzero(_display.shares_of_bins(A, 24)) > 500
    assert 0 < min(opacities) <= max(opacities) <= 1


def test_notebooks_without_places():
    for A in (sp.csr_array((0, 3)), sp.coo_array((2, 3, 4)), sp.coo_array((5,)), sp.csr_array((10, 10))):
        text = A._repr_html_()
        xml.etree.ElementTree.fromstring(text)
        assert "fill-opacity" not in text
