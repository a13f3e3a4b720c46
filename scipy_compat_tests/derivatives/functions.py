"""What the walk calls of the package's functions: by name, functions of a csr array A and of dense operands o."""

import io
import warnings
from importlib.util import find_spec

import mlx.core as mx
import numpy as np
import scipy.sparse.linalg as scipy_linalg

import mlx_sparse as sp
from mlx_sparse import csgraph, indexed, linalg

from .methods import CONSTANT_CSR
from .walk import CLASSES

ROWS, COLUMNS = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 2, 1, 2, 0, 3])  # of six values o.v
POINTERS = np.array([0, 2, 3, 4, 6])
EXCHANGED = ("torch", "jax")  # with which `io` exchanges arrays, where they are installed
OFFSETS, LENGTHS = mx.array([0, 1, 4]), mx.array([1, 3])


def written(write, read):
    """What stands in a file afterwards."""

    def call(A, o):
        file = io.BytesIO()
        write(file, A)
        file.seek(0)
        return read(file)

    return [call]


def sent(A, library):
    """A sparse array of PyTorch or JAX, both of which have fewer than 64 bits unless they are told otherwise."""
    return getattr(sp.io, f"to_{library}")(A if library == "torch" else A.astype(np.float32))


def plain(text):
    return [lambda A, o: text]


def spd(A):
    """A symmetric positive definite array made of A's values."""
    return (A.T @ A + sp.eye_array(4, format="csr")).tocsr()


def forms(name):
    """What a class is made of: dense arrays, lists, sparse arrays, and buffers where it has them."""
    cls = getattr(sp, name)
    calls = [
        lambda A, o: cls(o.D),
        lambda A, o: cls(o.D * double_step(o.D)),
        lambda A, o: cls(o.X, dtype=np.float32),
        lambda A, o: cls([[o.s, 0.0], [0.0, o.s]]),
        lambda A, o: cls(A),
        lambda A, o: cls(A, copy=True),
        lambda A, o: cls(o.D * double_step(o.D)) @ o.D,
    ]
    fmt = name[:3]
    if fmt in ("csr", "csc", "coo"):
        calls += [lambda A, o: cls((o.v, (ROWS, COLUMNS)), shape=(4, 4)), lambda A, o: cls(([o.s], ([0], [1])))]
    if fmt in ("csr", "csc"):
        calls += [lambda A, o: cls((o.v, COLUMNS, POINTERS)), lambda A, o: cls(([o.s], [1], [0, 1, 1]))]
    if fmt == "coo" and name.endswith("array"):
        calls += [lambda A, o: cls(o.T), lambda A, o: cls(o.b), lambda A, o: cls(o.T).tensordot(o.D, 1)]
    if fmt == "bsr":
        calls += [lambda A, o: cls((o.T, [0, 1], [0, 1, 2])), lambda A, o: cls(o.D, blocksize=(2, 2))]
    if fmt == "dia":
        calls += [lambda A, o: cls((o.X.T, [0, 1, -1]), shape=(4, 4)), lambda A, o: cls(([o.s] * 3, [0]), shape=(3, 3))]
    return calls


def double_step(x):
    return (x > 0.4).astype(x.dtype)


def function_forms(name):
    """coo_matvec, csr_trace and so on."""
    f, (fmt, operation) = getattr(sp, name), name.split("_", 1)
    to = lambda A: A.asformat(fmt)  # noqa: E731
    operands = {
        **{"matvec": lambda A, o: o.b, "matvec_transpose": lambda A, o: o.b, "matmul": lambda A, o: o.D},
        **{"matmat": lambda A, o: CONSTANT_CSR.asformat(fmt), "batched_matvec": lambda A, o: o.D},
        "batched_matmul": lambda A, o: o.D[None],
    }
    if operation in operands:
        return [lambda A, o: f(to(A), operands[operation](A, o))]
    return [lambda A, o: f(to(A))]


def iterated(solve):
    return [
        lambda A, o: solve(spd(A), o.b, rtol=1e-13)[0],
        lambda A, o: solve(spd(A), np.ones(4), rtol=1e-13)[0],
        lambda A, o: solve(spd(CONSTANT_CSR), [o.s, 1.0, 2.0, 3.0], rtol=1e-13)[0],
        lambda A, o: solve(o.D.T @ o.D + mx.eye(4, dtype=mx.float64), o.b, rtol=1e-13)[0],
        *told(solve),
    ]


def told(solve):
    """What solvers tell besides the solution."""

    def seen(A, b):
        seen = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solve(A, b, rtol=1e-3, callback=seen.append)
        return seen

    return [
        lambda A, o: solve(spd(A), o.b, rtol=1e-3, return_info=True)[1].residual_norms,
        lambda A, o: seen(spd(A), o.b),
    ]


def kept_vectors(solve, A, o, name):
    vectors = []
    solve(spd(A), o.b, rtol=1e-3, **{name: vectors})
    return [v for pair in vectors for v in pair if v is not None]


def solved(solve):
    """With b as an mx.array, as a matrix, and as an ndarray."""
    return [
        lambda A, o: solve(A, o.b),
        lambda A, o: solve(A, o.X),
        lambda A, o: solve(A, np.arange(1.0, 5)),
        lambda A, o: solve(A, [o.s, 1.0, 2.0, 3.0]),
    ]


def factored(make):
    """`solve` in all its forms, and what else a factorisation shows."""
    return [
        *solved(lambda A, b: make(A.tocsc()).solve(b)),
        lambda A, o: make(A.tocsc()).solve(o.b, trans="T"),
        lambda A, o: make(A.tocsc()).solve(o.b, trans="H"),
        lambda A, o: [make(A.tocsc()).L, make(A.tocsc()).U],
        lambda A, o: make(A.tocsc()).perm_r,
    ]


def cloud(name):
    """Every attribute and method of a batch of two clouds; None where a method is without one."""
    cls = getattr(indexed, name)

    def batch(o, D=None):
        points = o.D[:, :2] if D is None else D
        options = {"lengths": LENGTHS} if name == "PointCloudBatch" else {"offsets": OFFSETS}
        return cls(points, o.X, **options)

    def parts(B):
        return [B.positions, B.features]

    held = "positions features lengths offsets indices batch_size total_points order".split()
    calls = {
        **{n: lambda A, o, n=n: getattr(batch(o), n) for n in held},
        **{n: lambda A, o, n=n: getattr(batch(o), n)() for n in "as_lengths centroid bounding_box dense_mask".split()},
        "concatenate": lambda A, o: parts(cls.concatenate([batch(o), batch(o)])),
        "expand": lambda A, o: batch(o).expand(o.X[:2]),
        "from_dense": lambda A, o: parts(cls.from_dense(o.T, lengths=[2, 3])),
        "from_list": lambda A, o: parts(cls.from_list([o.D, o.D[:2]])),
        "gather_by_index": lambda A, o: batch(o).gather_by_index(mx.array([0, 3, 1])),
        "get_points": lambda A, o: batch(o).get_points(1),
        "neighbors": lambda A, o: batch(o).neighbors(k=2),
        "normalize": lambda A, o: parts(batch(o).normalize()),
        "pool": lambda A, o: batch(o).pool(),
        "segment_reduce": lambda A, o: batch(o).segment_reduce(o.X, "mean"),
        "to_dense": lambda A, o: batch(o).to_dense(),
        "voxel_downsample": lambda A, o: parts(batch(o).voxel_downsample(0.25)[0]),
        "with_features": lambda A, o: parts(batch(o).with_features(o.D)),
        "with_positions": lambda A, o: parts(batch(o).with_positions(o.X)),
    }
    methods = [n for n in dir(cls) if not n.startswith("_")]
    missing = set(methods) - set(calls)
    assert not missing, f"{name}: no entry in functions.py for {sorted(missing)}"
    return [calls[n] for n in methods]


# Functions of csgraph without a derivative: of a sparse graph, a dense one or both, and their further arguments.
GRAPHS = {
    **dict.fromkeys("bellman_ford dijkstra floyd_warshall johnson shortest_path".split(), ("both",)),
    **dict.fromkeys("connected_components minimum_spanning_tree".split(), ("both",)),
    **dict.fromkeys("csgraph_from_dense csgraph_masked_from_dense".split(), ("dense",)),
    **dict.fromkeys("csgraph_to_dense csgraph_to_masked reverse_cuthill_mckee structural_rank".split(), ("sparse",)),
    **dict.fromkeys("maximum_bipartite_matching min_weight_full_bipartite_matching".split(), ("sparse",)),
    **dict.fromkeys("breadth_first_order breadth_first_tree depth_first_order depth_first_tree".split(), ("both", 0)),
    "yen": ("both", 0, 3, 2),
    "reconstruct_path": ("both", np.array([-9999, 0, 0, 0])),
    "construct_dist_matrix": ("both", np.where(np.eye(4), -9999, np.arange(4)[:, None]).astype(np.int32)),
}


def on_graphs(name):
    f, (kind, *args) = getattr(csgraph, name), GRAPHS[name]
    calls = {"sparse": lambda A, o: f(A, *args), "dense": lambda A, o: f(o.D, *args)}
    return list(calls.values()) if kind == "both" else [calls[kind]]


def segments(f):
    return [
        lambda A, o: f(o.X, LENGTHS),
        lambda A, o: f(o.X, offsets=OFFSETS),
        lambda A, o: f(o.X, segment_ids=mx.array([1, 0, 1, 1]), num_segments=2),
    ]


def _preconditioners():
    P = linalg.preconditioners
    made = {
        n: getattr(P, n) for n in ("jacobi", "block_jacobi", "ssor", "chebyshev", "ilu0", "ichol0", "spilu", "exact")
    }
    return {
        **made,
        "diagonal": lambda A: P.diagonal(A.diagonal()),
        "aspreconditioner": P.aspreconditioner,
        "from_factorized": lambda A: P.from_factorized(linalg.splu(A.tocsc())),
    }


PRECONDITIONERS = _preconditioners()
OPERATORS = (lambda A: A, lambda A: A.H, lambda A: A.T + A, lambda A: (2 * A) @ A, lambda A: A**2)
REDUCTIONS = ("sum", "mean", "max", "min", "prod")
CONVERTED = ("add", "subtract", "hstack", "vstack", "bmat", "block_array", "block_diag", "kron", "kronsum")
METRICS = ("euclidean", "sqeuclidean", "manhattan", "cosine")
PAIRED = {
    "add": [lambda A, o: sp.add(A, CONSTANT_CSR), lambda A, o: sp.add(A, A.T)],
    "subtract": [lambda A, o: sp.subtract(A, CONSTANT_CSR), lambda A, o: sp.subtract(CONSTANT_CSR, A)],
    "kron": [lambda A, o: sp.kron(A, o.X), lambda A, o: sp.kron(o.b, A), lambda A, o: sp.kron([[o.s]], o.X)],
    "kronsum": [lambda A, o: sp.kronsum(A, CONSTANT_CSR), lambda A, o: sp.kronsum(o.D, A)],
    "hstack": [lambda A, o: sp.hstack([A, o.D]), lambda A, o: sp.hstack([A, A])],
    "vstack": [lambda A, o: sp.vstack([A, o.D]), lambda A, o: sp.vstack([A, A])],
    "bmat": [lambda A, o: sp.bmat([[A, o.X], [None, [[1.0, 2.0, 3.0]]]])],
    "block_array": [lambda A, o: sp.block_array([[o.D, None], [A, o.X]])],
    "block_diag": [lambda A, o: sp.block_diag([A, o.X]), lambda A, o: sp.block_diag([[o.s, o.s]])],
}
FUNCTIONS = {
    **{name: forms(name) for name in CLASSES},
    **{name: function_forms(name) for name in sp._function_form_names if name not in ("add", "subtract")},
    **PAIRED,
    "asarray": [lambda A, o: sp.asarray(o.D), lambda A, o: sp.asarray(A, format="coo")],
    "diags": [lambda A, o: sp.diags([o.b, o.b[:3]], [0, 1]), lambda A, o: sp.diags([o.s], [0], shape=(3, 3))],
    "diags_array": [
        lambda A, o: sp.diags_array(o.b),
        lambda A, o: sp.diags_array([o.b, o.b[:3]], offsets=[0, -1], format="csr"),
        lambda A, o: sp.diags_array([o.s, 1.0]),
    ],
    "expand_dims": [lambda A, o: sp.expand_dims(A, axis=0)],
    "find": [lambda A, o: sp.find(A), lambda A, o: sp.find(o.D)],
    "from_dense": [lambda A, o: sp.from_dense(o.D)],
    "from_numpy": [lambda A, o: sp.from_numpy(o.D, threshold=0.4)],
    "fromdense": [
        lambda A, o, f=f: sp.fromdense(o.D, threshold=0.4, format=f) for f in ("csr", "csc", "coo", "bsr", "dia")
    ],
    "get_index_dtype": [lambda A, o: str(sp.get_index_dtype(A.indices))],
    "matrix_transpose": [lambda A, o: sp.matrix_transpose(A)],
    "permute_dims": [lambda A, o: sp.permute_dims(A, (1, 0))],
    "safely_cast_index_arrays": [lambda A, o: sp.safely_cast_index_arrays(A, np.int64)],
    "spdiags": [lambda A, o: sp.spdiags(o.b, 0, 4, 4), lambda A, o: sp.spdiags([[o.s, 1.0]], [0], 2, 2)],
    "swapaxes": [lambda A, o: sp.swapaxes(A, 0, 1)],
    "todense": [lambda A, o: sp.todense(A)],
    "tril": [lambda A, o: sp.tril(A, 1), lambda A, o: sp.tril(o.D), lambda A, o: sp.tril(o.b)],
    "triu": [lambda A, o: sp.triu(A), lambda A, o: sp.triu(o.D, format="csr"), lambda A, o: sp.triu([[o.s, o.s]])],
    "random_array": [lambda A, o: sp.random_array((4, 4), density=0.375, rng=1, data_sampler=lambda size: o.v[:size])],
    **{name: written(sp.save_npz, sp.load_npz) for name in ("save_npz", "load_npz")},
    # ---- linalg
    "linalg.LaplacianNd": [
        lambda A, o: linalg.LaplacianNd((2, 2)) @ o.b,
        lambda A, o: linalg.LaplacianNd((4,), boundary_conditions="periodic").rmatmat(o.D),
    ],
    "linalg.LinearOperator": [
        *(lambda A, o, f=f: f(linalg.LinearOperator((4, 4), A.matvec, A.rmatvec)) @ o.b for f in OPERATORS),
        lambda A, o: linalg.LinearOperator((4, 4), A.matvec, dtype=np.float64) @ np.ones(4),
    ],
    "linalg.aslinearoperator": [
        *(lambda A, o, f=f: f(linalg.aslinearoperator(A)) @ o.D for f in OPERATORS),
        lambda A, o: linalg.aslinearoperator(o.D).H.matvec(o.b),
        lambda A, o: (linalg.aslinearoperator(o.D) * o.s).rmatmat(o.X),
        lambda A, o: linalg.aslinearoperator(o.D) @ np.ones(4),
        lambda A, o: linalg.aslinearoperator(CONSTANT_CSR.to_scipy()) @ o.b,
        lambda A, o: linalg.aslinearoperator(scipy_linalg.aslinearoperator(CONSTANT_CSR.to_scipy())) @ o.b,
    ],
    **{
        f"linalg.{solve.__name__}": iterated(solve)
        for solve in (
            *(linalg.cg, linalg.cgs, linalg.bicg, linalg.bicgstab, linalg.qmr, linalg.tfqmr),
            linalg.gmres,
        )
    },
    "linalg.eigs": [lambda A, o: linalg.eigs(A, 1, rng=0)[0], lambda A, o: linalg.eigs(o.D, 1, rng=0)[1]],
    "linalg.eigsh": [
        lambda A, o: linalg.eigsh(spd(A), 2, rng=0)[0],
        lambda A, o: linalg.eigsh(spd(A), 2, rng=0)[1] ** 2,
        lambda A, o: linalg.eigsh(spd(A), 2, rng=0, sigma=0.3, return_eigenvectors=False),
        lambda A, o: linalg.eigsh(spd(CONSTANT_CSR), 2, spd(A), rng=0)[0],
        lambda A, o: linalg.eigsh(spd(CONSTANT_CSR), 2, spd(A), rng=0)[1] ** 2,
        lambda A, o: linalg.eigsh(o.D + o.D.T, 2, rng=0)[0],
        lambda A, o: linalg.eigsh(o.D + o.D.T, 2, rng=0)[1] ** 2,
    ],
    "linalg.expm": [lambda A, o: linalg.expm(A), lambda A, o: linalg.expm(o.D)],
    "linalg.expm_multiply": [
        *solved(linalg.expm_multiply),
        lambda A, o: linalg.expm_multiply(A, o.b, start=0.1, stop=1.0, num=3),
        lambda A, o: linalg.expm_multiply(A, o.b, start=o.s, stop=1.0, num=3),
        lambda A, o: linalg.expm_multiply(o.D, o.b),
    ],
    "linalg.factorized": solved(lambda A, b: linalg.factorized(A.tocsc())(b)),
    **{
        f"linalg.{make.__name__}": [
            *solved(lambda A, b, make=make: make(spd(A)).solve(b)),
            lambda A, o, make=make: make(spd(CONSTANT_CSR)).solve(o.X, "H"),
            lambda A, o, make=make: make(spd(CONSTANT_CSR)).solve([o.s, 1.0, 2.0, 3.0]),
            lambda A, o, make=make: make(A).L,
        ]
        for make in (linalg.ilu0, linalg.ichol0)
    },
    **{
        f"linalg.preconditioners.{name}": [
            lambda A, o, make=make: make(spd(A)) @ o.b,
            lambda A, o, make=make: make(spd(CONSTANT_CSR)) @ o.b,
            lambda A, o, make=make: make(spd(CONSTANT_CSR)).H @ o.X,
            lambda A, o, make=make: linalg.cg(spd(A), o.b, rtol=1e-13, M=make(spd(CONSTANT_CSR)))[0],
        ]
        for name, make in PRECONDITIONERS.items()
    },
    "linalg.lgmres": [*iterated(linalg.lgmres), lambda A, o: kept_vectors(linalg.lgmres, A, o, "outer_v")],
    "linalg.gcrotmk": [*iterated(linalg.gcrotmk), lambda A, o: kept_vectors(linalg.gcrotmk, A, o, "CU")],
    "linalg.preconditioners.identity": [lambda A, o: linalg.preconditioners.identity(4) @ o.b],
    "linalg.funm_multiply_krylov": [
        lambda A, o: linalg.funm_multiply_krylov("exp", A, o.b),
        lambda A, o: linalg.funm_multiply_krylov("exp", A, np.ones(4)),
        lambda A, o: linalg.funm_multiply_krylov("exp", CONSTANT_CSR, np.ones(4), t=o.s),
    ],
    "linalg.dot": [lambda A, o: linalg.dot(A, CONSTANT_CSR), lambda A, o: linalg.dot(A, A.tocsc().T)],
    "linalg.vdot": [lambda A, o: linalg.vdot(A, CONSTANT_CSR), lambda A, o: linalg.vdot(A, A)],
    "linalg.inv": [lambda A, o: linalg.inv(A.tocsc())],
    "linalg.is_sptriangular": [lambda A, o: linalg.is_sptriangular(A)],
    **{
        f"linalg.{solve.__name__}": [
            *solved(lambda A, b, solve=solve: solve(A, b, 0.0, 1e-13, 1e-13)[0]),
            *solved(lambda A, b, solve=solve: solve(A[:, :3], b, 0.5, 1e-13, 1e-13)[0]),
            lambda A, o, solve=solve: solve(A[:3], o.b[:3], 0.5, 1e-13, 1e-13, x0=o.b)[0],
            lambda A, o, solve=solve: solve(CONSTANT_CSR, np.ones(4), 0.5, 1e-13, 1e-13, x0=o.b)[0],
            lambda A, o, solve=solve: solve(A, o.b, o.s, 1e-13, 1e-13)[0],
            lambda A, o, solve=solve: solve(o.D[:, :3], o.b, 0.0, 1e-13, 1e-13)[0],
            lambda A, o, solve=solve: list(solve(A[:, :3], o.b)[1:]),
            lambda A, o, solve=solve: list(solve(A[:, :3], o.X)[1:]),
            lambda A, o, solve=solve: solve(A[:, :3], o.b, return_info=True)[1].residual_norms,
            lambda A, o, solve=solve: solve(A[:, :3], o.b, return_info=True)[1].estimates,
        ]
        for solve in (linalg.lsqr, linalg.lsmr)
    },
    "linalg.minres": [
        *told(linalg.minres),
        lambda A, o: linalg.minres(spd(CONSTANT_CSR), o.b, shift=o.s, return_info=True)[1].residual_norms,
        *solved(lambda A, b: linalg.minres(spd(A), b, rtol=1e-15)[0]),
        lambda A, o: linalg.minres(spd(A), o.b, o.b, rtol=1e-15, shift=0.1)[0],
        lambda A, o: linalg.minres(spd(CONSTANT_CSR), o.b, rtol=1e-15, shift=o.s)[0],
        lambda A, o: linalg.minres(o.D.T @ o.D + mx.eye(4, dtype=mx.float64), o.b, rtol=1e-15)[0],
    ],
    "linalg.lanczos": [
        lambda A, o: linalg.lanczos(spd(A), 2),
        lambda A, o: linalg.lanczos(o.D + o.D.T, 2),
        lambda A, o: linalg.lanczos(spd(CONSTANT_CSR), 2, v0=o.b),
    ],
    "linalg.slq.slogdet": [
        lambda A, o: linalg.slq.slogdet(spd(A), rng=0),
        lambda A, o: linalg.slq.slogdet(o.D.T @ o.D + mx.eye(4, dtype=mx.float64), rng=0),
    ],
    "linalg.slq.trace": [lambda A, o: linalg.slq.trace(np.exp, spd(A), rng=0)],
    "linalg.slq.spectral_density": [
        lambda A, o: linalg.slq.spectral_density(spd(A), np.linspace(0, 2, 5), rng=0),
        lambda A, o: linalg.slq.spectral_density(spd(CONSTANT_CSR), o.b, rng=0),
        lambda A, o: linalg.slq.spectral_density(spd(CONSTANT_CSR), np.linspace(0, 2, 5), width=o.s, rng=0),
    ],
    "linalg.lobpcg": [
        lambda A, o: linalg.lobpcg(spd(A), mx.eye(4, 2, dtype=mx.float64))[0],
        lambda A, o: linalg.lobpcg(spd(A), mx.eye(4, 2, dtype=mx.float64))[1] ** 2,
        lambda A, o: linalg.lobpcg(spd(A), np.eye(4, 2))[0],
        lambda A, o: linalg.lobpcg(o.D + o.D.T, mx.eye(4, 2, dtype=mx.float64))[0],
    ],
    "linalg.matrix_power": [lambda A, o, n=n: linalg.matrix_power(A, n) for n in (1, 2, 3)],
    "linalg.norm": [
        *(lambda A, o, k=k: linalg.norm(A, k) for k in (None, "fro", 1, -1, np.inf, -np.inf, 2)),
        *(lambda A, o, k=k: linalg.norm(A, k, axis=0) for k in (None, 1, 2, np.inf)),
    ],
    "linalg.onenormest": [lambda A, o: linalg.onenormest(A), lambda A, o: linalg.onenormest(o.D)],
    **{
        f"linalg.{name}": [
            *solved(lambda A, b: linalg.cholesky(spd(A)).solve(b)),
            *solved(lambda A, b: linalg.cholesky(spd(A), method="ldl").solve(b)),
            lambda A, o: linalg.cholesky(spd(A), method="ldl").logdet(),
            lambda A, o: linalg.cholesky(spd(A)).L,
            lambda A, o: linalg.cholesky(spd(A)).D,
            lambda A, o: linalg.cholesky(spd(A)).logdet(),
            lambda A, o: linalg.cholesky(spd(A)).inverse_diagonal(),
            lambda A, o: linalg.cholesky(spd(A)).selected_inverse(),
            lambda A, o: list(linalg.cholesky(spd(A)).slogdet()),
            lambda A, o: linalg.cholesky(spd(A)).sample(np.ones(4)),
            lambda A, o: linalg.cholesky(spd(A)).solve_Lt(np.ones(4)),
            lambda A, o: linalg.cholesky(spd(CONSTANT_CSR)).solve_Lt(o.b),
            lambda A, o: linalg.cholesky(spd(CONSTANT_CSR)).solve(A.tocsc()),
            lambda A, o: linalg.cholesky(spd(CONSTANT_CSR)).solve_L(o.b),
            lambda A, o: linalg.cholesky(spd(CONSTANT_CSR)).sample(o.b),
        ]
        for name in ("cholesky", "sparse_cholesky")
    },
    "linalg.sparse_lu": [
        *factored(linalg.sparse_lu),
        lambda A, o: list(linalg.sparse_lu(A).slogdet()),
        lambda A, o: linalg.sparse_lu(CONSTANT_CSR).refactor(A.tocsr().data[:1] + CONSTANT_CSR.data).solve(o.b),
        lambda A, o: linalg.sparse_lu(A).rcond(),
    ],
    "linalg.spbandwidth": [lambda A, o: linalg.spbandwidth(A)],
    "linalg.spilu": factored(linalg.spilu),
    "linalg.splu": factored(linalg.splu),
    "linalg.spsolve": [
        *solved(linalg.spsolve),
        lambda A, o: linalg.spsolve(A, CONSTANT_CSR.tocsc()),
        lambda A, o: linalg.spsolve(CONSTANT_CSR, A.tocsc()),
        lambda A, o: linalg.spsolve(o.D + mx.eye(4, dtype=mx.float64), o.b),
    ],
    "linalg.spsolve_triangular": [
        *solved(lambda A, b: linalg.spsolve_triangular(sp.tril(A, format="csr"), b)),
        *solved(lambda A, b: linalg.spsolve_triangular(sp.triu(A, format="csr"), b, lower=False, unit_diagonal=True)),
    ],
    # ---- csgraph
    "csgraph.laplacian": [
        *(
            lambda A, o, k=k: csgraph.laplacian(A, **k)
            for k in (
                *({}, {"normed": True}, {"return_diag": True, "use_out_degree": True}, {"symmetrized": True}),
                {"symmetrized": True, "normed": True, "return_diag": True},
            )
        ),
        lambda A, o: csgraph.laplacian(A.todia()),
        lambda A, o: csgraph.laplacian(A, form="lo") @ o.b,
        lambda A, o: csgraph.laplacian(A, form="lo", normed=True, symmetrized=True).rmatvec(np.ones(4)),
        lambda A, o: csgraph.laplacian(A, form="function", normed=True)(o.D),
        lambda A, o: csgraph.laplacian(o.D, normed=True, return_diag=True),
        lambda A, o: csgraph.laplacian(o.D, symmetrized=True, use_out_degree=True),
        lambda A, o: csgraph.laplacian(o.D, form="function")(o.X),
    ],
    "csgraph.maximum_flow": [lambda A, o: csgraph.maximum_flow(A.astype(np.int32), 0, 3).flow_value],
    **{f"csgraph.{name}": on_graphs(name) for name in GRAPHS},
    # ---- indexed
    **{f"indexed.{name}": cloud(name) for name in ("OffsetPointCloudBatch", "PointCloudBatch")},
    "indexed.indexed_distance": [
        *(lambda A, o, m=m: indexed.indexed_distance(o.D, o.D[:2] * 0.5, metric=m) for m in METRICS),
        lambda A, o: indexed.indexed_distance(o.D, o.D, [0, 1], [2, 3], pairs=True),
    ],
    "indexed.k_nearest_neighbors": [lambda A, o, m=m: indexed.k_nearest_neighbors(o.X, k=2, metric=m) for m in METRICS],
    "indexed.radius_neighbors": [lambda A, o: indexed.radius_neighbors(o.X, radius=0.8)],
    "indexed.segment_argmax": segments(indexed.segment_argmax),
    "indexed.segment_argmin": segments(indexed.segment_argmin),
    "indexed.segment_reduce": [
        *(lambda A, o, k=k: indexed.segment_reduce(o.X, LENGTHS, k) for k in REDUCTIONS),
        *segments(indexed.segment_reduce),
    ],
    "indexed.segment_softmax": segments(indexed.segment_softmax),
    "indexed.sparse_matrix_vector_multiplication_reduction": [
        lambda A, o: indexed.sparse_matrix_vector_multiplication_reduction(
            o.T[:, None, :, :], [0, 1], o.D[:2, None, :], [0, 1], [1, 0], 2
        )
    ],
    "indexed.sparse_vector_vector_outer_product_reduction": [
        lambda A, o: indexed.sparse_vector_vector_outer_product_reduction(
            o.D[:2, None, :], [0, 1], o.X[:2, None, :], [0, 1], [1, 0], 2
        )
    ],
    **{
        f"indexed.{name}": [lambda A, o, name=name, of=of: getattr(indexed, name)(*of)]
        for name, of in {
            "lengths_to_offsets": (LENGTHS,),
            "lengths_to_segment_ids": (LENGTHS,),
            "offsets_to_lengths": (OFFSETS,),
            "offsets_to_segment_ids": (OFFSETS,),
            "segment_ids_to_lengths": ([0, 1, 1], 2),
            "segment_ids_to_offsets": ([0, 1, 1], 2),
        }.items()
    },
    # ---- io
    **{f"io.{name}": written(sp.save_npz, sp.load_npz) for name in ("save_npz", "load_npz")},
    **{f"io.{name}": written(sp.io.mmwrite, sp.io.mmread) for name in ("mmread", "mmwrite")},
    "io.mminfo": written(sp.io.mmwrite, sp.io.mminfo),
    **{
        f"io.{name}": written(lambda f, A: sp.io.save_safetensors(f, {"A": A}), sp.io.load_safetensors)
        for name in ("save_safetensors", "load_safetensors")
    },
    **{
        f"io.{name}": [lambda A, o, library=library: getattr(sp.io, f"from_{library}")(sent(A, library))]
        for library in EXCHANGED
        if find_spec(library)
        for name in (f"to_{library}", f"from_{library}")
    },
    "linalg.randomized_svd": [
        lambda A, o: linalg.randomized_svd(A, 2, rng=0),
        lambda A, o: linalg.randomized_svd(o.D, 2, rng=0),
    ],
    "linalg.svds": [
        lambda A, o: linalg.svds(A, 2, rng=0)[1],
        lambda A, o: (lambda u, s, vh: u @ vh)(*linalg.svds(A, 2, rng=0)),
        lambda A, o: linalg.svds(A, 2, rng=0, solver="propack", return_singular_vectors=False),
        lambda A, o: linalg.svds(o.D, 2, rng=0)[1],
    ],
}
FUNCTIONS["linalg.preconditioners.jacobi"] += [
    lambda A, o: linalg.preconditioners.jacobi(CONSTANT_CSR, omega=o.s) @ o.b,
    lambda A, o: linalg.preconditioners.jacobi(CONSTANT_CSR, shift=o.s) @ o.b,
]
FUNCTIONS["linalg.preconditioners.ssor"].append(lambda A, o: linalg.preconditioners.ssor(CONSTANT_CSR, o.s) @ o.b)
# Neither take nor give values of arrays: settings, names of types, arrays of ones and of random numbers.
EXEMPT = {
    *(
        "SparseEfficiencyWarning",
        "SparseWarning",
        "__version__",
        "csgraph",
        "indexed",
        "io",
        "linalg",
        "runtime",
        "sparray",
    ),
    *("spmatrix", "use_cpu", "use_device", "use_gpu", "issparse", "isspmatrix", "eye", "eye_array", "identity", "rand"),
    *(f"isspmatrix_{fmt}" for fmt in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")),
    *("random", "from_scipy", "linalg.MatrixRankWarning", "linalg.SuperLU", "linalg.use_solver", "linalg.SolverInfo"),
    *("linalg.SparseCholesky", "linalg.SparseLU"),
    *("linalg.IncompleteLU", "linalg.IncompleteCholesky", "linalg.preconditioners"),
    *("linalg.preconditioners.Preconditioner", "linalg.preconditioners.from_pyamg"),
    *("csgraph.NegativeCycleError", "csgraph.csgraph_from_masked"),
    *(f"linalg.{name}" for name in ("ArpackError", "ArpackNoConvergence", "dsolve", "eigen", "interface", "isolve")),
    *("linalg.matfuncs", "linalg.slq"),
    *("install", "uninstall", "load_ipython_extension", "unload_ipython_extension"),
    *(f"io.{way}_{name}" for name in EXCHANGED if not find_spec(name) for way in ("to", "from")),
}
# Zero derivatives that are true: of index arrays, of what is told by the structure, of positions of extremes.
ZERO_FUNCTIONS = {
    *("csgraph.breadth_first_order", "csgraph.connected_components"),
    *("csgraph.depth_first_order", "csgraph.reverse_cuthill_mckee"),
    *("csgraph.maximum_bipartite_matching", "csgraph.structural_rank"),
    *("get_index_dtype", "safely_cast_index_arrays", "linalg.is_sptriangular", "linalg.spbandwidth", "io.mminfo"),
    *(
        "indexed.segment_argmax",
        "indexed.segment_argmin",
        "indexed.segment_ids_to_lengths",
        "indexed.lengths_to_offsets",
    ),
    *("indexed.offsets_to_lengths", "indexed.offsets_to_segment_ids", "indexed.lengths_to_segment_ids"),
    *("indexed.segment_ids_to_offsets", "indexed.OffsetPointCloudBatch", "indexed.PointCloudBatch"),
}


def names():
    """Every public function and class, those of submodules with their module's name."""
    modules = {m: getattr(sp, m) for m in ("linalg", "csgraph", "indexed", "io")} | {
        "linalg.preconditioners": linalg.preconditioners,
        "linalg.slq": linalg.slq,
    }
    return {*sp.__all__, *(f"{m}.{n}" for m, module in modules.items() for n in module.__all__)}
