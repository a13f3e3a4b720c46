"""Scripts written for SciPy, run by `python -m mlx_sparse` in processes of their own, and what `uninstall` leaves.

Every script also runs on SciPy, so that it holds what SciPy does, and prints what both must print.
"""

import subprocess
import sys
import textwrap

import pytest

HEAD = """
import sys, io, copy, pickle, warnings
import numpy as np
import scipy
import scipy.io
import scipy.sparse as sp
from scipy.sparse import csgraph, linalg

A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(30, 30), format="csr")
FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
KINDS = [getattr(sp, f"{f}_{k}") for f in FORMATS for k in ("array", "matrix")]
"""

SCRIPTS = {
    "cg": """
        x, info = linalg.cg(A, np.ones(30), rtol=1e-10)
        print(type(x).__module__, info, np.abs(A @ x - 1).max() < 1e-8)
        x = linalg.spsolve(A.tocsc(), np.ones(30))
        print(np.allclose(A @ x, 1), linalg.splu(A.tocsc()).solve(np.ones(30)).shape)
    """,
    "eigsh": """
        w, v = linalg.eigsh(A, k=3, which="LA")
        print(w.round(8), np.allclose(A @ v, v * w), np.linalg.norm(linalg.svds(A, k=2)[1]).round(8))
        w, v = linalg.eigsh(A, k=2, sigma=0.0)
        print(w.round(8))
    """,
    "csgraph": """
        n, labels = csgraph.connected_components(A)
        print(n, labels, csgraph.dijkstra(abs(A), indices=0).round(8))
        print(csgraph.minimum_spanning_tree(A[:4, :4]).toarray(), csgraph.laplacian(A[:3, :3]).toarray())
        print(type(csgraph.minimum_spanning_tree(A)).__name__, csgraph.reverse_cuthill_mckee(A)[:4])
    """,
    "pickle": """
        for cls in KINDS:
            B = cls(A[:4, :4])
            for C in (pickle.loads(pickle.dumps(B)), copy.copy(B), copy.deepcopy(B)):
                print(type(C) is cls, abs(C - B).sum() == 0, C.shape)
        class Mine(sp.csr_matrix):
            pass
        print(type(pickle.loads(pickle.dumps(Mine(np.eye(2))))).__name__, type(Mine(np.eye(2)) * 2).__name__)
    """,
    "classes": """
        for cls in KINDS:
            B = cls(A[:3, :3])
            print(type(B) is cls, cls.__module__, cls.__name__, sp.issparse(B), sp.isspmatrix(B))
            print([isinstance(B, c) for c in (sp.sparray, sp.spmatrix, *KINDS)], B.format, B.dtype)
        print(repr(A), A.data.__class__, A.indices.dtype)
    """,
    "files": """
        for write in (scipy.io.mmwrite, lambda f, B: scipy.io.savemat(f, {"A": B})):
            f = io.BytesIO()
            write(f, A)
            f.seek(0)
            B = scipy.io.mmread(f) if write is scipy.io.mmwrite else scipy.io.loadmat(f)["A"]
            print(type(B).__name__, abs(B - A).sum(), isinstance(B, (sp.coo_matrix, sp.csc_matrix)))
        f = io.BytesIO()
        sp.save_npz(f, A)
        f.seek(0)
        print(type(sp.load_npz(f)).__name__)
    """,
    "other modules": """
        from scipy.integrate import solve_ivp
        from scipy.optimize import linprog
        from scipy.spatial import KDTree
        B = A[:5, :5].tocsc()
        print(linprog(np.ones(5), A_ub=-sp.eye_array(5, format="csc"), b_ub=-np.ones(5)).x)
        print(solve_ivp(lambda t, y: -(B @ y), (0, 1), np.ones(5), method="BDF", jac=-B).y[:, -1].round(6))
        print(KDTree(np.eye(3)).sparse_distance_matrix(KDTree(np.eye(3)), 2.0).toarray().round(6))
        from scipy.optimize import Bounds, LinearConstraint, least_squares, milp, minimize
        from scipy.integrate import solve_bvp
        def residuals(x):
            return B @ x - 1 + 0.1 * x**2
        def jacobian(x):
            return B + sp.diags_array([0.2 * x], offsets=[0], format="csc")
        for jac, options in ((jacobian, {}), ("2-point", {"jac_sparsity": B})):
            found = least_squares(residuals, np.zeros(5), jac=jac, tr_solver="lsmr", **options)
            print(found.x.round(5), found.status > 0, type(found.jac).__name__)
        rows = LinearConstraint(sp.eye_array(3, format="csc") - sp.eye_array(3, k=1, format="csc"), -1, 1)
        print(milp(-np.ones(3), constraints=rows, bounds=Bounds(0, 4), integrality=np.ones(3)).x)
        derivatives = {"jac": lambda x: 2 * (B @ x) - 1, "hess": lambda x: 2 * B}
        found = minimize(lambda x: x @ (B @ x) - x.sum(), np.zeros(5), method="trust-constr", **derivatives)
        print(found.x.round(4))
    """,
    "a finite-element script": """
        n = 12
        T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        L = (sp.kron(T, sp.eye_array(n)) + sp.kron(sp.eye_array(n), T)).tocsc()
        u = linalg.spsolve(L, np.full(n * n, 1 / (n + 1) ** 2)).reshape(n, n)
        print(u.max().round(10), np.abs(u - u.T).max() < 1e-12, linalg.norm(L).round(8))
        row, col, value = sp.find(L[: n, : n])
        print(row[:5], col[:5], value[:5], row.dtype)
        S = sp.lil_array((n * n, n * n))
        S.setdiag(4.0)
        S[0, 1:4] = [1, 2, 3]
        S = S.tocsr()
        inside = np.ones(n * n, bool)
        inside[:: n] = False
        K = (L.tocsr() + S)[inside][:, inside]
        M = linalg.LinearOperator(K.shape, linalg.spilu(K.tocsc()).solve)
        x, info = linalg.gmres(K, np.ones(K.shape[0]), rtol=1e-10, M=M)
        print(K.shape, K.nnz, info, np.abs(K @ x - 1).max() < 1e-8, K.sum(axis=0)[:3], K.diagonal()[:3])
        for k, i in enumerate(range(3)):
            start, end = K.indptr[i], K.indptr[i + 1]
            print(K.indices[start:end], K.data[start:end])
        K.data[:] *= 2
        K.data = np.where(K.data > 8, 0, K.data)
        K.eliminate_zeros()
        print(K.nnz, K.has_canonical_format, K.tocoo().row[:4], K.tobsr(blocksize=(1, 1)).nnz)
    """,
    "a graph script": """
        rng = np.random.default_rng(0)
        i, j = rng.integers(0, 60, (2, 240))
        G = sp.coo_array((np.ones(240), (i, j)), shape=(60, 60)).tocsr()
        G = G + G.T
        G.setdiag(0)
        G.eliminate_zeros()
        G.data[:] = 1
        degrees = np.asarray(G.sum(axis=1)).ravel()
        L = csgraph.laplacian(G, normed=True)
        w, v = linalg.eigsh(L, k=4, which="SM")
        print(G.nnz, degrees[:6], abs(w).round(6), v.shape, np.abs(L @ v - v * w).max() < 1e-6)
        P = sp.diags_array(1 / np.maximum(degrees, 1)) @ G
        r = np.full(60, 1 / 60)
        for _ in range(50):
            r = 0.85 * (P.T @ r) + 0.15 / 60
        print(r.sum().round(8), np.argsort(-r, kind="stable")[:5], type(P).__name__, P.format)
        print(csgraph.shortest_path(G, unweighted=True, indices=[0, 7])[:, :8])
        print(csgraph.breadth_first_order(G, 0)[0][:6])
        print((G @ G).max(), G.astype(bool).sum(), G.argmax(axis=1)[:5], (G > 0).nnz, G.mean().round(8))
    """,
    "long doubles": """
        L = sp.csr_matrix(np.eye(3, dtype=np.longdouble))
        print(L.dtype, isinstance(L, sp.spmatrix), sp.hstack([L, L]).dtype, sp.csr_array(L, dtype=float).dtype)
        print(sp.csr_array((2, 2), dtype=np.longdouble).dtype, (L @ np.ones(3)).dtype)
        print(sp.coo_array((np.ones(2, "g"), ([0, 1], [1, 0]))).dtype, sp.block_array([[L, None], [None, L]]).dtype)
    """,
    "operators": """
        class Twice(linalg.LinearOperator):
            def __init__(self):
                super().__init__(np.dtype(float), (30, 30))
            def _matvec(self, x):
                return 2 * x
        x, info = linalg.cg(Twice(), np.ones(30))
        print(x[:3], info, isinstance(linalg.aslinearoperator(A), linalg.LinearOperator))
        print(linalg.matrix_power(np.eye(2) * 2, 2), linalg.aslinearoperator(A).A.shape)
    """,
    "ways to import": """
        import importlib
        import scipy.sparse.linalg as sla
        from scipy.sparse import *
        from scipy import sparse
        print(csr_array is sp.csr_array, sparse is sp, sla is linalg, scipy.sparse is sp, sparse.linalg is sla)
        print(importlib.import_module("scipy.sparse") is sp, sys.modules["scipy.sparse.csgraph"] is csgraph)
        print("csr_array" in dir(sp), hasattr(sp, "no_such_name"))
        try:
            from scipy.sparse import no_such_name
        except ImportError as error:
            print("cannot import name 'no_such_name'" in str(error))
        keep, sp.find = sp.find, len
        print(sp.find is len, scipy.sparse.find is len)
        sp.find = keep
    """,
    "threads and processes": """
        import multiprocessing
        from concurrent.futures import ThreadPoolExecutor
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(abs, [A, A.tocsc()])[1].sum())
        with ThreadPoolExecutor(2) as pool:
            print([B.nnz for B in pool.map(lambda k: A @ (A * k), range(4))])
    """,
    "arithmetic": """
        M = sp.csr_matrix(A[:4, :4])
        print((M * M).toarray(), (M ** 2 - M @ M).nnz, type(M + M).__name__, M.sum(axis=0))
        print((A + A.T - 2 * A).nnz, (A @ np.ones(30))[:3], A.max(), A[2].toarray(), sp.kron(M, M).shape)
        A[0, 0] = 5
        print(A[0, 0], sp.vstack([M, M]).format, sp.block_diag([M, M]).shape, sp.find(M)[2])
    """,
}


def run(*arguments, folder, code=0):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == code, done.stderr[-3000:]
    return done


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_prints_on_scipy(name, tmp_path):
    (tmp_path / "script.py").write_text(HEAD + textwrap.dedent(SCRIPTS[name]))
    assert run("-m", "mlx_sparse", "script.py", folder=tmp_path).stdout == run("script.py", folder=tmp_path).stdout


# With packages that may be missing: what both print.
WITH_PACKAGES = {
    "sklearn": """
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.utils import check_array
        from sklearn.utils.extmath import safe_sparse_dot
        texts = ["one fish two fish", "red fish blue fish", "this one has a star", "this one has a car"] * 3
        X = TfidfVectorizer().fit_transform(texts)
        print(type(X).__name__, X.shape, X.nnz, X.sum().round(10), X[1].toarray().round(6), X.dtype)
        print(CountVectorizer(binary=True).fit_transform(texts).toarray()[0])
        print(LogisticRegression().fit(X, [0, 0, 1, 1] * 3).coef_.round(5))
        for f in ("csr", "csc", "coo"):
            B = check_array(A.asformat(f), accept_sparse=("csr", "csc"), dtype="float32")
            print(B.format, B.dtype, sp.issparse(B), safe_sparse_dot(B, np.ones(30))[:3])
    """,
    "pandas": """
        import pandas
        frame = pandas.DataFrame.sparse.from_spmatrix(A[:3, :3].tocsc())
        print(frame, frame.sparse.to_coo().toarray(), frame.sparse.density)
        series = pandas.Series([0, 1, 0, 2], dtype="Sparse[int]")
        series.index = pandas.MultiIndex.from_product([["a", "b"], [0, 1]])
        print(series.sparse.to_coo(row_levels=[0], column_levels=[1])[0].toarray())
        print(pandas.Series.sparse.from_coo(sp.coo_matrix(np.eye(2))))
    """,
    "anndata": """
        import anndata
        data = anndata.AnnData(A.tocsr())
        print(data.X[:2, :3].toarray(), data[[1, 3]].X.sum())
    """,
    "sparse": """
        import sparse
        B = sparse.COO.from_scipy_sparse(A)
        print(sparse.as_coo(A).todense()[:2, :3], B.nnz, abs(B.to_scipy_sparse() - A).sum())
    """,
    "networkx": """
        import networkx
        graph = networkx.from_scipy_sparse_array(A[:5, :5])
        print(sorted(graph.edges(data="weight")), networkx.pagerank(networkx.path_graph(4)))
        print(networkx.laplacian_matrix(networkx.path_graph(4)).toarray())
    """,
    "jax": """
        import jax.numpy
        B = sp.csr_array((jax.numpy.ones(2), jax.numpy.arange(2), jax.numpy.arange(3)), shape=(2, 2))
        print(B.toarray(), sp.csr_array(jax.numpy.eye(2)).nnz, np.asarray(B @ np.ones(2)))
    """,
    "torch": """
        import torch
        B = sp.csr_array((torch.ones(2).numpy(), [0, 1], [0, 1, 2]), shape=(2, 2))
        print(B.toarray(), torch.from_numpy(B.data))
    """,
}


@pytest.mark.parametrize("name", WITH_PACKAGES)
def test_a_script_with_another_package_prints_the_same(name, tmp_path):
    pytest.importorskip(name)
    (tmp_path / "script.py").write_text(HEAD + textwrap.dedent(WITH_PACKAGES[name]))
    assert run("-m", "mlx_sparse", "script.py", folder=tmp_path).stdout == run("script.py", folder=tmp_path).stdout


def test_the_extension_of_notebooks(tmp_path):
    pytest.importorskip("IPython")
    text = """
        from IPython.core.interactiveshell import InteractiveShell
        import scipy.sparse
        shell = InteractiveShell.instance()
        for line in ("%load_ext mlx_sparse", "from scipy.sparse import eye_array", "print(type(eye_array(2)).__mro__)",
                     "%unload_ext mlx_sparse", "import scipy.sparse as s", "print(s.eye_array is not eye_array)"):
            shell.run_cell(line).raise_error()
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(text))
    first, last = run("script.py", folder=tmp_path).stdout.splitlines()[-2:]
    assert "mlx_sparse._dia._dia_base" in first and last == "True"


def test_arguments_modules_and_exit_codes(tmp_path):
    (tmp_path / "helper.py").write_text("WORD = 'found'\n")
    text = "import sys, helper\nfrom scipy.sparse import csr_array\nprint(__name__, sys.argv[1:], helper.WORD)\n"
    (tmp_path / "script.py").write_text(text + "print(csr_array.todense.__module__)\nsys.exit(3)\n")
    for way in (["script.py"], ["-m", "script"]):
        done = run("-m", "mlx_sparse", *way, "--profile", "a", folder=tmp_path, code=3)
        assert done.stdout.splitlines() == ["__main__ ['--profile', 'a'] found", "mlx_sparse._base"]
    for wrong in ([], ["-m"], ["--fast", "script.py"], ["missing.py"]):
        assert "mlx_sparse: " in run("-m", "mlx_sparse", *wrong, folder=tmp_path, code=2).stderr
    assert "usage" in run("-m", "mlx_sparse", "--help", folder=tmp_path).stdout


def test_profile(tmp_path):
    text = """
        for _ in range(3):
            y = A @ np.ones(30)  # here
        linalg.cg(A, y)
        scipy.io.savemat(io.BytesIO(), {"A": A})
        L = sp.csr_array(np.eye(2, dtype=np.longdouble))
        sp.vstack([L, L])
        A._asfptype()
    """
    (tmp_path / "script.py").write_text(script := HEAD + textwrap.dedent(text))
    table = run("-m", "mlx_sparse", "--profile", "script.py", folder=tmp_path).stderr.splitlines()
    rows = {line.split()[0]: line.split() for line in table if not line.startswith(" ")}
    assert rows["csr_array.__matmul__"][1] == "3" and rows["csr_array.__matmul__"][3] == "0"
    assert rows["scipy.sparse.linalg.cg"][1] == "1"
    assert rows["scipy.io.savemat"][3] == "1" and "no such function here" in " ".join(rows["scipy.io.savemat"])
    assert rows["scipy.sparse.vstack"][3] == "1" and "float128" in " ".join(rows["scipy.sparse.vstack"])
    assert rows["csr_array._asfptype"][3] == "1"
    line = 1 + script.splitlines().index("    y = A @ np.ones(30)  # here")
    assert any(f"script.py:{line}: 3 calls" in row for row in table)


def test_uninstall_restores_what_was(tmp_path):
    text = """
        import inspect, pickle, sys
        import numpy as np
        import scipy.sparse, scipy.io
        import mlx_sparse

        assert not any(name.startswith("mlx_sparse.drop_in") for name in sys.modules)
        names = [f"{f}_{k}" for f in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil") for k in ("array", "matrix")]
        classes = [getattr(mlx_sparse, n) for n in names]
        def state():
            modules = [sys.modules["scipy." + n] for n in ("io", "sparse", "sparse.linalg", "sparse.csgraph")]
            modules += [scipy.io, scipy.sparse, scipy.sparse.linalg, scipy.sparse.csgraph]
            named = [(c.__mro__, c.__module__, c.__name__) for c in classes]
            named += [inspect.signature(c) for c in classes]
            own = [dict(vars(c), __new__=0) for c in classes]
            return modules, named, mlx_sparse.runtime.dense_namespace, [getattr(scipy.sparse, n) for n in names], own
        before = state()
        held = mlx_sparse.csr_array(np.eye(3))
        for profile in (False, True):
            mlx_sparse.install(profile)
            mlx_sparse.install()
            assert isinstance(held, scipy.sparse.csr_array) and scipy.sparse.issparse(held)
            assert [inspect.signature(c) for c in classes] == before[1][len(classes):]
            packed = pickle.dumps(scipy.sparse.csr_array(np.eye(3)))
            mlx_sparse.uninstall()
            mlx_sparse.uninstall()
            after = state()
            for b, a in zip(before, after):
                assert b == a, (b, a)
            assert not isinstance(held, scipy.sparse.csr_array)
            assert isinstance(pickle.loads(packed), mlx_sparse.csr_array)
        for cls in classes:
            assert (cls(np.eye(3)) @ np.ones(3)).shape == (3,)
            for wrong in ((-1, 2), object()):
                try:
                    cls(wrong)
                except (TypeError, ValueError):
                    continue
                raise AssertionError(cls)
        print("ok")
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(text))
    assert run("script.py", folder=tmp_path).stdout == "ok\n"


def test_scipy_lends_no_public_method(tmp_path):
    text = """
        import mlx_sparse, mlx_sparse.drop_in._classes as c
        mlx_sparse.install()
        for ours, theirs in c.pairs():
            own = {n for k in ours.__mro__ if k.__module__.startswith("mlx_sparse") or k is ours for n in vars(k)}
            print(sorted(n for n in dir(theirs) if not n.startswith("_") and n not in own and not hasattr(dict, n)))
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(text))
    assert set(run("script.py", folder=tmp_path).stdout.splitlines()) == {"[]"}
