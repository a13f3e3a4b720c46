// slot[offsets[key[e]] + rank[e]] = e, for what key_ranks found and the running sums of its counts. Keys outside are
// its last. Cost: one thread a key.
//! in keys: I, rank: M, offsets: M
//! out slot: M
//! with I: index, M: int32
constexpr int GROUP = 256;
const int64_t n = int64_t(offsets_shape[0]) - 2;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (e < int64_t(keys_shape[0])) {
    const int64_t key = int64_t(keys[e]);
    slot[int64_t(offsets[key < 0 || key > n ? n : key]) + int64_t(rank[e])] = M(e);
  }
}
