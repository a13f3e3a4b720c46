"""How large a matrix may be for an approximation of its exponential to be backward exact in working precision.

An approximation r of exp satisfies r(A) = exp(A + h(A)) for a power series h with coefficients h_k. The threshold of r
is the largest x with sum_k |h_k| x^(k - 1) <= u, the unit roundoff: for norms up to x the backward error |h(A)| / |A|
is at most u. N. J. Higham, SIAM J. Matrix Anal. Appl. 26 (2005); A. H. Al-Mohy and N. J. Higham, SIAM J. Sci. Comput.
33 (2011).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

_TERMS = 40  # of the series beyond twice the degree; they fall like powers of threshold / smallest zero of T or p
# What the denominator of the [13/13] approximant can take before it is ill conditioned (Al-Mohy and Higham 2009).
_CONDITION = 4.25


def unit_roundoff(dtype: np.dtype) -> float:
    return float(np.finfo(dtype).eps) / 2


@lru_cache
def taylor(m: int, u: float) -> float:
    """Threshold of the Taylor polynomial T of degree `m`: h' = -(x^m / m!) / T."""
    scaled = [1]  # k! times the coefficients of 1 / T, which are integers
    for n in range(1, 2 * m + _TERMS):
        scaled.append(-sum(math.comb(n, j) * scaled[n - j] for j in range(1, min(n, m) + 1)))
    series = [abs(c) / math.factorial(k) for k, c in enumerate(scaled)]
    return _largest(series, 1 / math.factorial(m), m, u)


@lru_cache
def pade(m: int, u: float) -> float:
    """Threshold of the [m/m] Pade approximant p(x) / p(-x): |h'| = p_m^2 x^2m / (p(x) p(-x)) for p(0) = 1."""
    p = [Fraction(c, pade_coefficients(m)[0]) for c in pade_coefficients(m)]
    denominator = [Fraction(0)] * (m + 1)  # in powers of x^2
    for i, a in enumerate(p):
        for j, b in enumerate(p):
            if (i + j) % 2 == 0:
                denominator[(i + j) // 2] += a * b * (-1) ** j
    series = [Fraction(1)]
    for n in range(1, m + _TERMS):
        series.append(-sum((denominator[j] * series[n - j] for j in range(1, min(n, m) + 1)), Fraction(0)))
    spread = [0.0] * (2 * len(series))
    spread[::2] = [abs(float(c)) for c in series]
    return min(_largest(spread, float(p[m] ** 2), 2 * m, u), _CONDITION)


@lru_cache
def pade_coefficients(m: int) -> list[int]:
    """Coefficients of p, scaled so that the last one is 1."""
    f = math.factorial
    return [f(2 * m - j) // (f(m - j) * f(j)) for j in range(m + 1)]


def _largest(series: list[float], lead: float, degree: int, u: float) -> float:
    """The largest x with lead * sum_i series[i] x^(degree + i) / (degree + i + 1) <= u, by bisection."""
    coefficients = [c / (degree + i + 1) for i, c in enumerate(series)][::-1]

    def fits(x: float) -> bool:
        return bool(lead * x**degree * np.polyval(coefficients, x) <= u)

    low, high = 0.0, 1.0
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
