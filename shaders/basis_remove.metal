// rest[i] = w[i] - the sum of second[k] * rows[k, i]. `again`: nothing, where basis_again.inc says so; else also
// partial[c] = the sum of |rest[i]|^2 over the elements i of chunk c, and, if `joined`, by the group that ends last,
// square[0] = the sum of these. tickets: zero before and after. Cost: the rows and w once.
//! in rows: T, w: T, second: T
//! inout tickets: C
//! out rest: T, partial: T, square: T
//! with T: single, C: int32, CHUNK: 512|2048, again: bool, always: bool, joined: bool
constexpr int GROUP = 256;
SP_SHARED(float, sums, GROUP);
SP_SHARED(int, goes, 1);
SP_SHARED(int, ticket, 1);
const int count = int(rows_shape[0]);
const int64_t n = rows_shape[1];
const int64_t c = int64_t(threadgroup_position_in_grid.x), from = c * CHUNK;
const int64_t chunks = (n + CHUNK - 1) / CHUNK;
if (again) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) {
#include "basis_again.inc"
    }
  }
  SP_BARRIER;
  if (goes[0] == 0) return;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  T v[CHUNK / GROUP];
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    v[j] = i < n ? w[i] : T(0);
  }
  for (int k = 0; k < count; ++k) {
    const T minus = sp_negative(second[k]);
    SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
      const int64_t i = from + j * GROUP + lid;
      if (i < n) v[j] = sp_add(v[j], sp_mul(minus, rows[k * n + i]));
    }
  }
  float sum = 0;
  SP_UNROLL for (int j = 0; j < CHUNK / GROUP; ++j) {
    const int64_t i = from + j * GROUP + lid;
    if (i < n) {
      rest[i] = v[j];
      sum += sp_real(v[j]) * sp_real(v[j]) + sp_imag(v[j]) * sp_imag(v[j]);
    }
  }
  sums[lid] = sum;
}
if (!again) return;
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sums[lid] + sums[lid + half_of];
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) {
    partial[c] = sp_made(T(0), sums[0], 0);
    if (joined) {
      SP_FENCE;
      ticket[0] = SP_TICKET(tickets[0]);
    }
  }
}
SP_BARRIER;
if (!joined || ticket[0] != chunks - 1) return;
SP_FENCE;
SP_THREADS(lid, thread_index_in_threadgroup) {
  float sum = 0;
  for (int64_t at = lid; at < chunks; at += GROUP) sum += sp_real(T(partial[at]));
  sums[lid] = sum;
  if (lid == 0) SP_INPLACE(C, tickets[0]) = 0;
}
SP_BARRIER;
for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < half_of) sums[lid] = sums[lid] + sums[lid + half_of];
  }
  SP_BARRIER;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) square[0] = sp_made(T(0), sums[0], 0);
}
