// carry[c, j] = state of column j over the rows in chunk c of the slice that began in an earlier chunk, where that slice
// reaches more than CHUNK / 4 positions past its owner; elsewhere unset. weight and place are the other parts of a state.
// Positions and chunks as in cs_partition; rows as in segment_reduce. Cost: the rows of such slices, once.
//! in x: T, indptr: I, order: I, part: I
//! out carry: A, weight: A, place: I
//! with T: value, I: int32, A: acc, CHUNK: 512|2048, OP: 0..7, has_order: bool
constexpr int GROUP = 256;
constexpr int FLIGHT = 8;
SP_SHARED(A, values, GROUP);
SP_SHARED(A, weights, GROUP);
SP_SHARED(I, places, GROUP);
const int c = int(threadgroup_position_in_grid.x);
if (c == 0) return;
const int64_t from = int64_t(c) * CHUNK;
const int64_t m = int64_t(part[c]) - 1;
const int64_t owner_stop = ((int64_t(indptr[m]) + m) / CHUNK + 1) * CHUNK;
const int64_t stop = int64_t(indptr[m + 1]) + m + 1;
if (stop - owner_stop <= CHUNK / 4) return;

const int64_t k = x_shape[1];
const int64_t column = int64_t(threadgroup_position_in_grid.y) * GROUP;
const int cols = k - column < GROUP ? int(k - column) : GROUP;
const int teams = GROUP / cols;
const int64_t first = from - m - 1;
const int64_t last = (from + CHUNK < stop ? from + CHUNK : stop) - m - 1;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int team = lid / cols;
  const int64_t at = column + lid % cols;
  sp_state<A> state = sp_start<A>(OP);
  if (team < teams) {
    for (int64_t r = first + team; r < last; r += FLIGHT * teams) {
      A v[FLIGHT];
      int64_t row[FLIGHT];
      if (r + (FLIGHT - 1) * teams < last) {
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
          row[j] = has_order ? int64_t(order[r + j * teams]) : r + j * teams;
        }
        const int64_t at_x = r * k + at, step = teams * k;
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) v[j] = A(x[has_order ? row[j] * k + at : at_x + j * step]);
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) state = sp_fold(OP, state, v[j], row[j]);
        continue;
      }
      SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
        const int64_t safe = r + j * teams < last ? r + j * teams : last - 1;
        row[j] = has_order ? int64_t(order[safe]) : safe;
      }
      SP_UNROLL for (int j = 0; j < FLIGHT; ++j) v[j] = A(x[row[j] * k + at]);
      SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
        if (r + j * teams < last) state = sp_fold(OP, state, v[j], row[j]);
      }
    }
  }
  values[lid] = state.value;
  if (OP == 5) weights[lid] = state.weight;
  if (OP >= 6) places[lid] = I(state.at);
}
SP_BARRIER;
for (int active = teams; active > 1; active = (active + 1) / 2) {
  const int half_of = (active + 1) / 2;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    const int mate = lid + half_of * cols;
    if (lid < half_of * cols && mate < active * cols) {
      sp_state<A> a = sp_start<A>(OP), b = a;
      a.value = values[lid];
      b.value = values[mate];
      if (OP == 5) {
        a.weight = weights[lid];
        b.weight = weights[mate];
      }
      if (OP >= 6) {
        a.at = int64_t(places[lid]);
        b.at = int64_t(places[mate]);
      }
      a = sp_join(OP, a, b);
      values[lid] = a.value;
      if (OP == 5) weights[lid] = a.weight;
      if (OP >= 6) places[lid] = I(a.at);
    }
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < cols) {
    const int64_t i = int64_t(c) * k + column + lid;
    carry[i] = values[lid];
    if (OP == 5) weight[i] = weights[lid];
    if (OP >= 6) place[i] = places[lid];
  }
}
