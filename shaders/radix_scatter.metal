// sorted[p], order[p] = the key of rank p by five bits from bit range[0] on, and what before says of it (first: its
// position); stable. Keys outside 0 .. range[1] become range[1]. offsets are the running sums of radix_counts. One threadgroup a chunk: the chunk is sorted in shared
// memory, and then each digit's keys go to neighbouring places. Cost: keys and order, read and written once.
//! in keys: I, before: I, range: I, offsets: I
//! out sorted: I, order: I
//! with I: int32, CHUNK: 2048, first: bool
constexpr int GROUP = 256;
constexpr int EACH = CHUNK / GROUP;
constexpr int DIGITS = 32;
constexpr int ROOM = DIGITS * GROUP / 32 * 34; // as in radix_counts
SP_SHARED(int16_t, seen, ROOM);
SP_SHARED(int, sums, 2 * GROUP);
SP_SHARED(int, starts, DIGITS);
SP_SHARED(I, chosen, CHUNK);
SP_SHARED(int16_t, from, CHUNK);
const int64_t n = keys_shape[0];
const int64_t chunks = (n + CHUNK - 1) / CHUNK;
const int64_t chunk = int64_t(threadgroup_position_in_grid.x);
const int64_t begin = chunk * CHUNK;
const int by = int(range[0]);
SP_THREADS(lid, thread_index_in_threadgroup) {
  SP_UNROLL for (int d = 0; d < DIGITS; ++d) {
    const int at = d * GROUP + lid;
    seen[at + at / 32 * 2] = 0;
  }
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = begin + lid * EACH + j;
    if (i < n) {
      const I given = keys[i];
      const int key = given < 0 || given > range[1] ? int(range[1]) : int(given);
      const int at = ((key >> by) & (DIGITS - 1)) * GROUP + lid;
      seen[at + at / 32 * 2] += 1;
    }
  }
}
SP_BARRIER;
// Running sums by digit, then by thread: of 32 counters each, by doubling from one half of the memory to the other.
SP_THREADS(lid, thread_index_in_threadgroup) {
  int sum = 0;
  SP_UNROLL for (int k = 0; k < 32; ++k) sum += seen[lid * 34 + k];
  sums[GROUP + lid] = sum;
}
SP_BARRIER;
int source = GROUP;
for (int reach = 1; reach < GROUP; reach *= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int sum = sums[source + lid];
    sums[GROUP - source + lid] = lid < reach ? sum : sum + sums[source + lid - reach];
  }
  SP_BARRIER;
  source = GROUP - source;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  int sum = lid == 0 ? 0 : sums[source + lid - 1];
  if (lid * 32 % GROUP == 0) starts[lid * 32 / GROUP] = sum;
  SP_UNROLL for (int k = 0; k < 32; ++k) {
    const int count = seen[lid * 34 + k];
    seen[lid * 34 + k] = int16_t(sum);
    sum += count;
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = begin + lid * EACH + j;
    if (i < n) {
      const I given = keys[i];
      const I key = given < 0 || given > range[1] ? range[1] : given;
      const int at = ((int(key) >> by) & (DIGITS - 1)) * GROUP + lid;
      const int to = seen[at + at / 32 * 2];
      seen[at + at / 32 * 2] = int16_t(to + 1);
      chosen[to] = key;
      from[to] = int16_t(lid * EACH + j);
    }
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int k = j * GROUP + lid;
    if (begin + k < n) {
      const I key = chosen[k];
      const int d = (int(key) >> by) & (DIGITS - 1);
      const int64_t to = int64_t(offsets[d * chunks + chunk]) + k - starts[d];
      const int64_t i = begin + from[k];
      sorted[to] = key;
      order[to] = first ? I(i) : before[i];
    }
  }
}
