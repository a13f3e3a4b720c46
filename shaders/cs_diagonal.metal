// elements[i] = the sum of the entries on element i of diagonal k = offset[0], so of slice i or, below the main one, i - k,
// with that slice's number plus k as minor index. Slices ascend.
// A thread searches each; more than SHORT entries of one index all threads of its group add up together. Deterministic.
// Cost: a search a slice, and its duplicates.
//! in data: T, indices: I, indptr: I, offset: I, elements_like: T
//! out elements: T
//! with T: value, I: index, A: acc
constexpr int GROUP = 256;
constexpr int SHORT = 64;
SP_SHARED(I, lows, GROUP);
SP_SHARED(I, highs, GROUP);
SP_SHARED(A, sums, GROUP);
SP_SHARED(int, longs, 1); // whether there are such slices in this group: few groups have any, and only those look for them
const int64_t n = elements_like_shape[0];
const int64_t from = int64_t(threadgroup_position_in_grid.x) * GROUP;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) longs[0] = 0;
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int64_t i = from + lid;
  I low = I(0), high = I(0); // positions of entries are of this dtype
  if (i < n) {
    const int64_t k = int64_t(offset[0]), m = k < 0 ? i - k : i;
    const I wanted = I(m + k);
    low = indptr[m];
    const I stop = indptr[m + 1];
    high = stop;
    while (low < high) {
      const I middle = low + (high - low) / 2;
      if (indices[middle] < wanted) low = middle + 1; else high = middle;
    }
    I end = low; // behind the equals, which are one or none but for duplicates
    while (end < stop && end - low < 2 && indices[end] == wanted) ++end;
    if (end - low == 2) {
      high = stop;
      while (end < high) {
        const I middle = end + (high - end) / 2;
        if (indices[middle] == wanted) end = middle + 1; else high = middle;
      }
    }
    high = end;
    if (high - low <= SHORT) {
      A sum = A(0);
      for (I e = low; e < high; ++e) sum = sp_add(sum, A(data[e]));
      elements[i] = T(sum);
    } else {
      longs[0] = 1; // whichever thread is the last to write it
    }
  }
  lows[lid] = low;
  highs[lid] = high;
}
SP_BARRIER;
const int looked_at = longs[0] != 0 ? GROUP : 0;
for (int r = 0; r < looked_at; ++r) {
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
