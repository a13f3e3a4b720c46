// order[p] = the entries in slots (key_slots), ascending within each key. Deterministic, whatever numbers they took. Cost:
// one thread a slot, which counts the entries of its key that come before: keys are not crowded.
//! in keys: I, slot: M, offsets: M
//! out order: I
//! with I: index, M: int32
constexpr int GROUP = 256;
const int64_t n = int64_t(offsets_shape[0]) - 2;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t p = int64_t(threadgroup_position_in_grid.x) * GROUP + lid;
  if (p < int64_t(slot_shape[0])) {
    const M e = slot[p];
    const int64_t given = int64_t(keys[e]), key = given < 0 || given > n ? n : given;
    const int64_t begin = int64_t(offsets[key]), end = int64_t(offsets[key + 1]);
    int before = 0;
    for (int64_t q = begin; q < end; ++q) before += int(slot[q] < e);
    order[begin + before] = I(e);
  }
}
