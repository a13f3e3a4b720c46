// rank[e] = the number of entries of a compressed canonical structure before (major[e], minor[e]); found[e] = 1 where that
// is one of them, else 0. The coordinates are those of another structure's entries, in any order; of a major index past
// the last slice both are 0.
// Cost: one binary search in a slice an entry.
//! in major: I, minor: I, indptr: I, indices: I
//! out rank: I, found: M
//! with I: index, M: int32
constexpr int GROUP = 256;
const int64_t n = minor_shape[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (e < n) {
    const int64_t m = int64_t(major[e]);
    const I wanted = minor[e];
    const bool inside = m + 1 < indptr_shape[0];
    int64_t low = inside ? int64_t(indptr[m]) : 0, high = inside ? int64_t(indptr[m + 1]) : 0;
    const int64_t stop = high;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (indices[middle] < wanted) low = middle + 1; else high = middle;
    }
    rank[e] = I(low);
    found[e] = M(low < stop && indices[low] == wanted ? 1 : 0);
  }
}
