// total[c] = what segment_offsets adds up over chunk c of the elements. Cost: the elements, once.
//! in given: I, limit: I
//! out total: I
//! with I: int32, CHUNK: 2048, lengths: bool
constexpr int GROUP = 256;
SP_SHARED(I, sums, GROUP);
const int skipped = lengths ? 0 : 1;
const int64_t n = int64_t(given_shape[0]) - skipped;
const int64_t from = int64_t(threadgroup_position_in_grid.x) * CHUNK;
const I most = limit[0];
SP_THREADS(lid, thread_index_in_threadgroup) {
  I sum = I(0);
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    if (i < n) sum = sp_add_up(lengths, sum, given[skipped + i], most);
  }
  sums[lid] = sum;
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sp_add_up(lengths, sums[lid], sums[lid + half_of], most);
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) total[threadgroup_position_in_grid.x] = sums[0];
}
