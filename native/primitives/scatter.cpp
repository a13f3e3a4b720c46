// The one place where the loops of sums of entries that may meet are compiled.
#include "../kernels/scatter.h"

namespace sp {

SP_SCATTER_SUMS()

} // namespace sp
