// elements[i] = the sum of the entries of slice at[0] + i whose minor index is that slice plus at[1]. Slices ascend.
// A thread searches each; more than SHORT entries of one index all threads of its group add up together. Deterministic.
// Cost: a search a slice, and its duplicates.
//! in data: T, indices: I, indptr: I, at: I, elements_like: T
//! out elements: T
//! with T: value, I: index, A: acc
constexpr int GROUP = 256;
constexpr int SHORT = 64;
SP_SHARED(I, lows, GROUP);
SP_SHARED(I, highs, GROUP);
SP_SHARED(A, sums, GROUP);
SP_SHARED(int, longs, GROUP / 32);
const int64_t n = elements_like_shape[0];
const int64_t from = int64_t(threadgroup_position_in_grid.x) * GROUP;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = from + lid;
  int64_t low = 0, high = 0;
  if (i < n) {
    const int64_t m = int64_t(at[0]) + i;
    const I wanted = I(m + int64_t(at[1]));
    low = int64_t(indptr[m]);
    const int64_t stop = int64_t(indptr[m + 1]);
    high = stop;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (indices[middle] < wanted) low = middle + 1; else high = middle;
    }
    int64_t end = low; // behind the equals, which are one or none but for duplicates
    while (end < stop && end - low < 2 && indices[end] == wanted) ++end;
    if (end - low == 2) {
      high = stop;
      while (end < high) {
        const int64_t middle = (end + high) / 2;
        if (indices[middle] == wanted) end = middle + 1; else high = middle;
      }
    }
    high = end;
    if (high - low <= SHORT) {
      A sum = A(0);
      for (int64_t e = low; e < high; ++e) sum = sp_add(sum, A(data[e]));
      elements[i] = T(sum);
    }
  }
  lows[lid] = I(low);
  highs[lid] = I(high);
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < GROUP / 32) {
    int count = 0;
    for (int j = 0; j < 32; ++j) count += int(highs[lid * 32 + j] - lows[lid * 32 + j] > SHORT);
    longs[lid] = count;
  }
}
SP_BARRIER;
for (int r = 0; r < GROUP; ++r) {
  if (longs[r / 32] == 0) {
    r += 31;
    continue;
  }
  const int64_t low = int64_t(lows[r]), high = int64_t(highs[r]);
  if (high - low <= SHORT) continue;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    A sum = A(0);
    for (int64_t e = low + lid; e < high; e += GROUP) sum = sp_add(sum, A(data[e]));
    sums[lid] = sum;
  }
  SP_BARRIER;
  for (int half_of = GROUP / 2; half_of > 0; half_of /= 2) {
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid < half_of) sums[lid] = sp_add(sums[lid], sums[lid + half_of]);
    }
    SP_BARRIER;
  }
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) elements[from + r] = T(sums[0]);
  }
  SP_BARRIER;
}
