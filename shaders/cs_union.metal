// minor[u] = minor index of entry u of the union of two canonical structures, from[u] = its position in a or, past the end
// of a, in b. From what cs_rank says of the entries of each in the other, and the number of those that remain before each:
// an entry of both remains in one of them at the most. Every output is written once. Cost: one thread an entry of either.
//! in a_minor: I, a_rank: I, a_before: M, b_minor: I, b_rank: I, b_before: M
//! out minor: I, from: I
//! with I: index, M: int32
constexpr int GROUP = 256;
const int64_t n_a = a_minor_shape[0], n_b = b_minor_shape[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t t = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (t < n_a) {
    if (a_before[t + 1] > a_before[t]) {
      const int64_t to = int64_t(a_before[t]) + int64_t(b_before[a_rank[t]]);
      minor[to] = a_minor[t];
      from[to] = I(t);
    }
  } else if (t < n_a + n_b) {
    const int64_t e = t - n_a;
    if (b_before[e + 1] > b_before[e]) {
      const int64_t to = int64_t(b_before[e]) + int64_t(a_before[b_rank[e]]);
      minor[to] = b_minor[e];
      from[to] = I(t);
    }
  }
}
