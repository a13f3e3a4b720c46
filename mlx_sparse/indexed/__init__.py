"""Operations on ragged data: index arrays pick the operands of products and sums and place their results.

Everything takes and gives `mx.array`, lazily and differentiably.
"""

from ._clouds import *  # noqa: F403
from ._clouds import __all__ as _cloud_names
from ._distances import *  # noqa: F403
from ._distances import __all__ as _distance_names
from ._neighbors import *  # noqa: F403
from ._neighbors import __all__ as _neighbor_names
from ._products import *  # noqa: F403
from ._products import __all__ as _product_names
from ._segment_forms import *  # noqa: F403
from ._segment_forms import __all__ as _segment_form_names
from ._segments import *  # noqa: F403
from ._segments import __all__ as _segment_names

__all__ = [*_product_names, *_segment_names, *_segment_form_names, *_distance_names, *_neighbor_names, *_cloud_names]
