// counts[d, c] = how many keys of chunk c have the five bits d from bit range[0] on. Keys outside 0 .. range[1] count as
// range[1]. One threadgroup a chunk; each thread counts its own keys, and 8 threads add up what all of them have of a
// digit. Cost: the keys, once.
//! in keys: I, range: I
//! out counts: I
//! with I: int32, CHUNK: 2048
constexpr int GROUP = 256;
constexpr int EACH = CHUNK / GROUP;
constexpr int DIGITS = 32;
constexpr int ROOM = DIGITS * GROUP / 32 * 34; // two empty elements behind 32, so that threads differ in memory banks
SP_SHARED(int16_t, seen, ROOM);
SP_SHARED(int, sums, GROUP);
const int64_t n = keys_shape[0];
const int64_t chunks = (n + CHUNK - 1) / CHUNK;
const int64_t chunk = int64_t(threadgroup_position_in_grid.x);
const int by = int(range[0]);
SP_THREADS(lid, thread_index_in_threadgroup) {
  SP_UNROLL for (int d = 0; d < DIGITS; ++d) {
    const int at = d * GROUP + lid;
    seen[at + at / 32 * 2] = 0;
  }
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = chunk * CHUNK + lid * EACH + j;
    if (i < n) {
      const I given = keys[i];
      const int key = given < 0 || given > range[1] ? int(range[1]) : int(given);
      const int at = ((key >> by) & (DIGITS - 1)) * GROUP + lid;
      seen[at + at / 32 * 2] += 1;
    }
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  int sum = 0;
  SP_UNROLL for (int k = 0; k < 32; ++k) sum += seen[lid * 34 + k];
  sums[lid] = sum;
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < DIGITS) {
    int sum = 0;
    SP_UNROLL for (int k = 0; k < GROUP / DIGITS; ++k) sum += sums[lid * (GROUP / DIGITS) + k];
    counts[lid * chunks + chunk] = I(sum);
  }
}
