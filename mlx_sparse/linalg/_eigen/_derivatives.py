def differentiable(front, w, X):
    raise NotImplementedError


def differentiable_triplets(A, u, s, v):
    raise NotImplementedError
