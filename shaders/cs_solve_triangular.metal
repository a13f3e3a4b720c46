// x[places[r]] = (right[places[r]] - sum of data[entries[e]] * x[columns[e]] over the entries e of slice r) / data[diagonal[r]]:
// op(A)^-1 right for a triangular A, whose slices stand in the order of their levels (levels.h), without the diagonal;
// `diagonal` is -1 where there is no entry on it. x and right are (n, k), row-major, and may be the same memory: nobody but
// the slice itself reads its right-hand side.
// `code` has n, k, unit, conjugate, slices in a chunk, batches, chunks; from HEADER on, of each batch of levels and behind
// the last one, its first level and chunk. A batch is one level, cut into chunks, or some that are one chunk together.
// `turn` says what a launch does:
//   0: marks = 0, of which the next one makes its state; made is memory that nobody has written to
//   1: all of it. A group takes the next chunk there is and waits until those of earlier batches are done: they are, or
//      some group that runs has them. It needs memory with an order between groups, which Metal lacks.
//   2: batch turn[4], a group for each of its chunks
//   3: made = memory
// and whether x is vector turn[3] of `memory`, else it is `made`; `right` begins at its vector turn[2]. Once ended[0] is set
// nothing is solved.
// before: read by nobody; it brings launches in order, as something that the one before has made.
// state: at 0 chunks taken, at 32 chunks done, at 33 groups that have ended; zeros again at the end.
// Parts and orders of sums depend on the structure and k alone, so results do not depend on scheduling.
// Cost: nnz * k products, and a wait for each batch.
//! in data: T, entries: I, columns: I, starts: I, places: I, diagonal: I, levels: I, right: T
//! in code: C, turn: C, ended: C, before: T
//! inout memory: T, state: C
//! out made: T, marks: C
//! with T: single, I: index, C: int32
constexpr int GROUP = 256;
constexpr int TILE = 1024;
constexpr int ROWS = 128;
constexpr int SLOTS = 1024;
constexpr int HEADER = 8;
constexpr int DONE = 32; // in another line of the cache than chunks that are taken
constexpr int ENDED = 33;
SP_SHARED(T, terms, TILE);
SP_SHARED(I, at, TILE);
SP_SHARED(T, totals, GROUP);
SP_SHARED(T, rights, SLOTS);
SP_SHARED(T, divisors, ROWS);
SP_SHARED(I, own, ROWS);
SP_SHARED(int, bounds, ROWS + 1);
SP_SHARED(int, stops, ROWS + 1);
SP_SHARED(int, flags, 1);
(void)before;
const int mode = turn[0], groups = turn[5];
const int64_t n = code[0], k = code[1];
if (mode == 0) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (threadgroup_position_in_grid.x == 0 && lid <= ENDED) marks[lid] = 0;
  }
  return;
}
const bool in_memory = turn[1] != 0, unit = code[2] != 0, conjugate = code[3] != 0;
const int64_t right_from = turn[2] * (n * k), x_from = turn[3] * (n * k);
if (mode == 3) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid; e < n * k; e += int64_t(groups) * GROUP) {
      made[e] = memory[x_from + e];
    }
  }
  return;
}

if (ended[0] != 0) return;
const int rows = code[4], chunks = code[6];
int batch = turn[4];
int chunk = int(threadgroup_position_in_grid.x) + code[HEADER + 2 * batch + 1];
if (mode == 2 && chunk >= code[HEADER + 2 * batch + 3]) return;
for (;;) {
  if (mode == 1) {
    SP_BARRIER;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid == 0) flags[0] = SP_TICKET(state[0]);
    }
    SP_BARRIER;
    chunk = flags[0];
    if (chunk >= chunks) break;
    while (chunk >= code[HEADER + 2 * batch + 3]) ++batch;
  }
  const int first_chunk = code[HEADER + 2 * batch + 1], first_level = code[HEADER + 2 * batch];
  const int count_levels = code[HEADER + 2 * batch + 2] - first_level;
  const int64_t first = int64_t(levels[first_level]) + int64_t(chunk - first_chunk) * rows;
  const int64_t left = int64_t(levels[first_level + count_levels]) - first;
  const int count = left < rows ? int(left) : rows;
  const int64_t begin = int64_t(starts[first]);
  const int size = int(int64_t(starts[first + count]) - begin);
  const bool staged = size <= TILE; // at once; else there is only one level
  for (int64_t column = 0; column < k; column += GROUP) {
    const int width = k - column < GROUP ? int(k - column) : GROUP;
    SP_BARRIER;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      // What does not depend on other slices is there before the wait.
      for (int i = lid; i < count * width; i += GROUP) {
        rights[i] = right[right_from + int64_t(places[first + i / width]) * k + column + i % width];
      }
      if (column == 0) {
        for (int r = lid; r <= count; r += GROUP) bounds[r] = int(int64_t(starts[first + r]) - begin);
        for (int r = lid; r < count; r += GROUP) {
          own[r] = places[first + r];
          const int64_t d = int64_t(diagonal[first + r]);
          const T divisor = d < 0 ? T(0) : T(data[d < 0 ? 0 : d]);
          divisors[r] = conjugate ? sp_conj(divisor) : divisor;
        }
        for (int l = lid; l <= count_levels; l += GROUP) {
          const int64_t stop = int64_t(levels[first_level + l]) - first;
          if (l <= ROWS) stops[l] = stop < 0 ? 0 : stop < count ? int(stop) : count;
        }
        for (int e = lid; staged && e < size; e += GROUP) {
          const T value = data[entries[begin + e]];
          terms[e] = conjugate ? sp_conj(value) : value;
          at[e] = columns[begin + e];
        }
        if (mode == 1 && lid == 0) SP_AWAIT(state[DONE], first_chunk);
      }
    }
    SP_BARRIER;
    for (int level = 0; level < count_levels; ++level) {
      const int low = stops[level], of_level = stops[level + 1] - low;
      int lanes = 1;
      while (2 * lanes * of_level * width <= GROUP) lanes *= 2;
      const int slots = of_level * lanes * width;
      for (int tile = 0; tile == 0 || (!staged && tile < size); tile += TILE) {
        if (!staged) {
          SP_BARRIER;
          SP_THREADS(lid, thread_index_in_threadgroup) {
            for (int e = lid; e < TILE && tile + e < size; e += GROUP) {
              const T value = data[entries[begin + tile + e]];
              terms[e] = conjugate ? sp_conj(value) : value;
              at[e] = columns[begin + tile + e];
            }
          }
          SP_BARRIER;
        }
        SP_THREADS(lid, thread_index_in_threadgroup) {
          for (int i = lid; i < slots; i += GROUP) {
            const int team = i / width, r = low + team / lanes, lane = team % lanes;
            const int64_t from = x_from + column + i % width;
            const int begins = bounds[r] - tile, ends = bounds[r + 1] - tile;
            const int stop = ends < TILE ? ends : TILE;
            T sum = lanes == 1 || tile == 0 ? T(0) : T(totals[i]);
            for (int e = (begins > 0 ? begins : 0) + lane; e < stop; e += lanes) {
              const int64_t j = from + int64_t(at[e]) * k;
              sum = sp_add(sum, sp_mul(T(terms[e]), in_memory ? T(memory[j]) : T(made[j])));
            }
            if (lanes > 1) totals[i] = sum;
            else rights[low * width + i] = sp_add(rights[low * width + i], sp_negative(sum));
          }
        }
      }
      SP_BARRIER;
      for (int half_of = lanes / 2; half_of > 0; half_of /= 2) {
        SP_THREADS(lid, thread_index_in_threadgroup) {
          if (lid < slots && lid / width % lanes < half_of) totals[lid] = sp_add(totals[lid], totals[lid + half_of * width]);
        }
        SP_BARRIER;
      }
      SP_THREADS(lid, thread_index_in_threadgroup) {
        for (int i = lid; i < of_level * width; i += GROUP) {
          const int r = i / width, c = i % width;
          T found = rights[low * width + i];
          if (lanes > 1) found = sp_add(found, sp_negative(totals[r * lanes * width + c]));
          if (!unit) found = sp_quotient(found, divisors[low + r]);
          const int64_t j = x_from + int64_t(own[low + r]) * k + column + c;
          if (in_memory) SP_INPLACE(T, memory[j]) = found;
          else made[j] = found;
        }
      }
      SP_BARRIER_ALL;
    }
  }
  if (mode == 2) return;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) SP_ARRIVE(state[DONE]);
  }
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) {
    SP_FENCE;
    if (SP_TICKET(state[ENDED]) == groups - 1) {
      for (int i = 0; i <= ENDED; ++i) SP_INPLACE(C, state[i]) = 0;
    }
  }
}
