// rank[e] = how many entries of the same key took a number before e did, in any order; count[k] = how many have key k.
// Keys outside 0 .. n - 1 count as n. crowded[0] = 1 where one has more than MOST, and then nothing else counts. The outputs
// start as zeros. Cost: the keys, once, and one atomic addition each.
//! in keys: I, count_like: M
//! out count: M, rank: M, crowded: M
//! with I: index, M: int32, MOST: 256
constexpr int GROUP = 256;
const int64_t n = int64_t(count_like_shape[0]) - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (e < int64_t(keys_shape[0]) && crowded[0] == 0) {
    const int64_t key = int64_t(keys[e]);
    const int number = SP_TICKET(count[key < 0 || key > n ? n : key]);
    rank[e] = M(number);
    if (number >= MOST) crowded[0] = M(1);
  }
}
