// minor[u] = minor index of entry u of the union of two canonical structures; in_a[u], in_b[u] = 1 + its position in a and
// in b, where it has one. From what cs_rank says of the entries of each in the other, and the number of common entries
// before each. The outputs start as zeros. Cost: one thread an entry of either.
//! in a_minor: I, a_rank: I, a_common: M, b_minor: I, b_rank: I, b_common: M
//! out minor: I, in_a: I, in_b: I
//! with I: index, M: int32
constexpr int GROUP = 256;
const int64_t n_a = a_minor_shape[0], n_b = b_minor_shape[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t t = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (t < n_a) {
    const int64_t to = t + int64_t(a_rank[t]) - int64_t(a_common[t]);
    minor[to] = a_minor[t];
    in_a[to] = I(t + 1);
    if (a_common[t + 1] > a_common[t]) in_b[to] = I(a_rank[t] + 1);
  } else if (t < n_a + n_b) {
    const int64_t e = t - n_a;
    if (b_common[e + 1] == b_common[e]) { // else it has been dealt with
      const int64_t to = e + int64_t(b_rank[e]) - int64_t(b_common[e]);
      minor[to] = b_minor[e];
      in_b[to] = I(e + 1);
    }
  }
}
