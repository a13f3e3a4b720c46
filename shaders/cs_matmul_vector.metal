// y[b, m] = sum of data[b, e] * x[b, indices[e]] over the entries e of slice m (of data[b, e] alone without has_x).
// One threadgroup per chunk of cs_partition: products go to threadgroup memory in entry order, then each slice that the
// chunk owns is summed by 1 to 32 threads. A tail of more than CHUNK / 8 positions past the chunk comes from cs_carry.
// Any order, duplicates allowed; every slice, empty or not, is written once. Deterministic. Cost: one pass over A.
//! in data: T, indices: I, indptr: I, x: T, part: I, carry: A
//! out y: T
//! with T: value, I: index, A: acc, CHUNK: 512|2048, has_x: bool
constexpr int GROUP = 256;
constexpr int TILE = CHUNK + CHUNK / 8;
constexpr int PER_THREAD = (TILE + GROUP - 1) / GROUP;
SP_SHARED(A, products, TILE);
SP_SHARED(A, partial, GROUP);
SP_SHARED(int, bounds, GROUP + 1);
const int c = int(threadgroup_position_in_grid.x);
const int b = int(threadgroup_position_in_grid.z);
const int64_t first = int64_t(part[c]), last = int64_t(part[c + 1]);
if (first == last) return;

const int slices = int(last - first);
const int64_t begin = int64_t(indptr[first]), end = int64_t(indptr[last]);
const int64_t border = int64_t(c + 1) * CHUNK - last;
const bool has_tail = end - border > CHUNK / 8;
const int staged = int((has_tail ? border : end) - begin);
const int64_t data_from = begin + (data_ndim > 1 ? int64_t(b) * data_shape[data_ndim - 1] : 0);
const int64_t x_from = x_ndim > 2 ? int64_t(b) * x_shape[x_ndim - 2] : 0;
const int64_t y_from = first + int64_t(b) * (indptr_shape[0] - 1);
SP_THREADS(lid, thread_index_in_threadgroup) {
  // Early, so that the sums below do not wait for memory again.
  if (lid == 0) bounds[0] = 0;
  if (lid < slices) {
    const int64_t stop = int64_t(indptr[first + lid + 1]) - begin;
    bounds[lid + 1] = stop < staged ? int(stop) : staged;
  }
}
if (staged > 0) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    // Clamped, not guarded: unconditional loads are all in flight at once.
    I at[PER_THREAD];
    A terms[PER_THREAD];
    SP_UNROLL for (int r = 0; r < PER_THREAD; ++r) {
      const int i = r * GROUP + lid;
      const int safe = i < staged ? i : staged - 1;
      at[r] = has_x ? indices[begin + safe] : I(0);
      terms[r] = A(data[data_from + safe]);
    }
    if (has_x) {
      SP_UNROLL for (int r = 0; r < PER_THREAD; ++r) terms[r] = sp_mul(terms[r], A(x[x_from + at[r]]));
    }
    SP_UNROLL for (int r = 0; r < PER_THREAD; ++r) {
      if (r * GROUP + lid < staged) products[r * GROUP + lid] = terms[r];
    }
  }
}
SP_BARRIER;

A tail = A(0);
if (has_tail) {
  const int64_t row = int64_t(b) * (part_shape[0] - 1);
  const int64_t tail_stop = (end + last - 1) / CHUNK + 1;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    A sum0 = A(0), sum1 = A(0);
    int64_t q = int64_t(c) + 1 + lid;
    for (; q + GROUP < tail_stop; q += 2 * GROUP) {
      sum0 = sp_add(sum0, carry[row + q]);
      sum1 = sp_add(sum1, carry[row + q + GROUP]);
    }
    if (q < tail_stop) sum0 = sp_add(sum0, carry[row + q]);
    partial[lid] = sp_add(sum0, sum1);
  }
  SP_BARRIER;
  for (int active = GROUP / 2; active > 0; active /= 2) {
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid < active) partial[lid] = sp_add(partial[lid], partial[lid + active]);
    }
    SP_BARRIER;
  }
  tail = partial[0];
  SP_BARRIER;
}

int lanes = 1;
while (lanes < 32 && 2 * lanes * slices <= GROUP) lanes *= 2;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int lane = lid % lanes;
  for (int s = lid / lanes; s < slices; s += GROUP / lanes) {
    int from, stop;
    if (s < GROUP) {
      from = bounds[s];
      stop = bounds[s + 1];
    } else {
      from = int(int64_t(indptr[first + s]) - begin);
      const int64_t until = int64_t(indptr[first + s + 1]) - begin;
      stop = until < staged ? int(until) : staged;
    }
    A sum0 = A(0), sum1 = A(0), sum2 = A(0), sum3 = A(0);
    int i = from + lane;
    for (; i + 3 * lanes < stop; i += 4 * lanes) {
      sum0 = sp_add(sum0, products[i]);
      sum1 = sp_add(sum1, products[i + lanes]);
      sum2 = sp_add(sum2, products[i + 2 * lanes]);
      sum3 = sp_add(sum3, products[i + 3 * lanes]);
    }
    for (; i < stop; i += lanes) sum0 = sp_add(sum0, products[i]);
    A sum = sp_add(sp_add(sum0, sum1), sp_add(sum2, sum3));
    if (lanes > 1) {
      partial[lid] = sum;
    } else {
      if (has_tail && s == slices - 1) sum = sp_add(sum, tail);
      y[y_from + s] = T(sum);
    }
  }
}
if (lanes > 1) {
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < slices) {
      A sum = has_tail && lid == slices - 1 ? tail : A(0);
      for (int lane = 0; lane < lanes; ++lane) sum = sp_add(sum, partial[lid * lanes + lane]);
      y[y_from + lid] = T(sum);
    }
  }
}
