"""Operations on ragged data: index arrays pick the operands of products and sums and place their results.

Everything takes and gives `mx.array`, lazily and differentiably.
"""

# Products: MVMR and VVOR
from ._products import *  # noqa: F403
from ._products import __all__ as _product_names

# Segments

# Distances

# Point clouds

__all__ = [*_product_names]
