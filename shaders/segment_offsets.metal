// offsets[i + 1] = the sum of given[0 .. i] without negative ones, or unless `lengths` the maximum of 0 and
// given[1 .. i + 1], at most limit[0]; offsets[0] = 0. Of any lengths or offsets of segments, offsets that never fall.
// One threadgroup per chunk of elements. Cost: the elements once, and the totals before it (segment_totals) once a chunk.
//! in given: I, limit: I, total: I
//! out offsets: I
//! with I: int32, CHUNK: 2048, lengths: bool
constexpr int GROUP = 256;
constexpr int EACH = CHUNK / GROUP;
SP_SHARED(I, sums, 2 * GROUP);
SP_SHARED(I, before, 1);
const int skipped = lengths ? 0 : 1;
const int64_t n = int64_t(given_shape[0]) - skipped;
const int chunk = int(threadgroup_position_in_grid.x);
const int64_t from = int64_t(chunk) * CHUNK;
const I most = limit[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  I sum = I(0);
  for (int c = lid; c < chunk; c += GROUP) sum = sp_add_up(lengths, sum, total[c], most);
  sums[lid] = sum;
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sp_add_up(lengths, sums[lid], sums[lid + half_of], most);
  }
  SP_BARRIER;
}
// Each thread's elements, with all before the chunk for the first.
SP_THREADS(lid, thread_index_in_threadgroup) {
  I sum = I(0);
  if (lid == 0) before[0] = sum = sums[0];
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = from + lid * EACH + j;
    if (i < n) sum = sp_add_up(lengths, sum, given[skipped + i], most);
  }
  sums[GROUP + lid] = sum;
}
SP_BARRIER;
// Sums up to each thread's, by doubling, from one half of the memory to the other.
int source = GROUP;
for (int reach = 1; reach < GROUP; reach *= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const I sum = sums[source + lid];
    sums[GROUP - source + lid] = lid < reach ? sum : sp_add_up(lengths, sums[source + lid - reach], sum, most);
  }
  SP_BARRIER;
  source = GROUP - source;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  I sum = lid == 0 ? before[0] : sums[source + lid - 1];
  if (chunk == 0 && lid == 0) offsets[0] = I(0);
  SP_UNROLL for (int j = 0; j < EACH; ++j) {
    const int64_t i = from + lid * EACH + j;
    if (i < n) {
      sum = sp_add_up(lengths, sum, given[skipped + i], most);
      offsets[i + 1] = sum;
    }
  }
}
