// y[m, j] = the rows of slice m of x reduced by OP (see prelude_shared.h), column by column; for 6 and 7 at[m, j], a row
// of x; for 5 wide[m, 0, j], the maximum, and wide[m, 1, j], the logarithm of the sum of exp(x - maximum).
// Row r of the structure is row r of x, or order[r] with has_order. One threadgroup per chunk of cs_partition and block
// of GROUP columns: neighbouring threads take neighbouring columns, each team of them a range of the chunk's rows, in
// order, whatever slices begin and end in it; states at the borders of the ranges are joined in threadgroup memory.
// Tails over CHUNK / 4 positions come from segment_carry. Every slice is written once. Deterministic. Cost: T * k.
//! in x: T, indptr: I, order: I, part: I, carry: A, weight: A, place: I
//! out y: T, wide: A, at: I
//! with T: value, I: int32, A: acc, CHUNK: 512|2048, OP: 0..7, has_order: bool
constexpr int GROUP = 256;
constexpr int FLIGHT = 8;
SP_SHARED(int, edges, CHUNK + 1);
SP_SHARED(A, values, 3 * GROUP);
SP_SHARED(A, weights, 3 * GROUP);
SP_SHARED(I, places, 3 * GROUP);
// Thirds of the above: what a team found of a slice that began before its range, of one that goes on behind it, tails.
constexpr int TAIL = GROUP;
constexpr int WHOLE = 2 * GROUP;
#define SP_PUT(i, s)                           \
  values[i] = (s).value;                       \
  if (OP == 5) weights[i] = (s).weight;        \
  if (OP >= 6) places[i] = I((s).at)
#define SP_GET(s, i)                           \
  (s).value = values[i];                       \
  if (OP == 5) (s).weight = weights[i];        \
  if (OP >= 6) (s).at = int64_t(places[i])
#define SP_WRITE(m, j, s, n)                                          \
  if (OP == 5) {                                                      \
    wide[2 * (m) * k + (j)] = (s).value;                              \
    wide[(2 * (m) + 1) * k + (j)] = sp_log((s).weight);               \
  } else if (OP >= 6) {                                               \
    at[(m) * k + (j)] = I((s).at);                                    \
  } else {                                                            \
    y[(m) * k + (j)] = T(sp_finish(OP, s, int64_t(n)));               \
  }
const int c = int(threadgroup_position_in_grid.x);
const int64_t first = int64_t(part[c]), last = int64_t(part[c + 1]);
if (first == last) return;

const int n = int(last - first);
const int64_t k = x_shape[1];
const int64_t column = int64_t(threadgroup_position_in_grid.y) * GROUP;
const int cols = k - column < GROUP ? int(k - column) : GROUP;
const int teams = GROUP / cols;
const int64_t begin = int64_t(indptr[first]), end = int64_t(indptr[last]);
const int64_t border = int64_t(c + 1) * CHUNK - last;
const bool has_tail = end - border > CHUNK / 4;
const int rows = int((has_tail ? border : end) - begin);
const int closed = has_tail ? n - 1 : n; // slices that end among these rows
const int per = (rows + teams - 1) / teams;
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int s = lid; s <= n; s += GROUP) {
    const int64_t edge = int64_t(indptr[first + s]) - begin;
    edges[s] = edge < rows ? int(edge) : rows;
  }
}
SP_BARRIER;

SP_THREADS(lid, thread_index_in_threadgroup) {
  const int team = lid / cols;
  const int64_t col = column + lid % cols;
  const int from = team * per;
  const int to = from + per < rows ? from + per : rows;
  if (team < teams) {
    const sp_state<A> start = sp_start<A>(OP);
    for (int s = team; s < closed; s += teams) {
      if (edges[s] == edges[s + 1]) {
        SP_WRITE(first + s, col, start, 0);
      }
    }
    if (from < to) {
      int s = 0, high = n - 1; // the last slice that begins at `from` or before
      while (s < high) {
        const int middle = (s + high + 1) / 2;
        if (edges[middle] <= from) s = middle; else high = middle - 1;
      }
      int stop = edges[s + 1];
      bool begun = edges[s] == from;
      sp_state<A> state = start;
      for (int r = from; r < to; r += FLIGHT) {
        A v[FLIGHT];
        int64_t row[FLIGHT];
        if (r + FLIGHT <= (stop < to ? stop : to)) { // no border among these rows: the common case, kept short
          const int64_t at_row = begin + r;
          SP_UNROLL for (int j = 0; j < FLIGHT; ++j) row[j] = has_order ? int64_t(order[at_row + j]) : at_row + j;
          const int64_t at_x = at_row * k + col;
          SP_UNROLL for (int j = 0; j < FLIGHT; ++j) v[j] = A(x[has_order ? row[j] * k + col : at_x + j * k]);
          SP_UNROLL for (int j = 0; j < FLIGHT; ++j) state = sp_fold(OP, state, v[j], row[j]);
          continue;
        }
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
          const int64_t safe = begin + (r + j < to ? r + j : to - 1);
          row[j] = has_order ? int64_t(order[safe]) : safe;
        }
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) v[j] = A(x[row[j] * k + col]);
        SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
          if (r + j < to) {
            if (r + j == stop) {
              if (begun) {
                SP_WRITE(first + s, col, state, stop - edges[s]);
              } else {
                SP_PUT(lid, state);
              }
              do ++s; while (edges[s + 1] == stop);
              stop = edges[s + 1];
              begun = true;
              state = start;
            }
            state = sp_fold(OP, state, v[j], row[j]);
          }
        }
      }
      if (!begun) {
        SP_PUT(lid, state);
      } else if (stop == to && s < closed) {
        SP_WRITE(first + s, col, state, stop - edges[s]);
      } else {
        SP_PUT(TAIL + lid, state);
      }
    }
  }
}
SP_BARRIER;

// Slices over several ranges belong to the team in whose range they begin, the one with a tail to the first team.
SP_THREADS(lid, thread_index_in_threadgroup) {
  const int team = lid / cols, col = lid % cols;
  const int from = team * per;
  const int to = from + per < rows ? from + per : rows;
  sp_state<A> state = sp_start<A>(OP), more = state;
  if (team < teams && from < to) {
    int s = 0, high = n - 1;
    while (s < high) {
      const int middle = (s + high + 1) / 2;
      if (edges[middle] < to) s = middle; else high = middle - 1;
    }
    const int stop = edges[s + 1];
    if (edges[s] >= from && stop > to && s < closed) {
      SP_GET(state, TAIL + lid);
      for (int q = team + 1; q * per < stop; ++q) {
        SP_GET(more, q * cols + col);
        state = sp_join(OP, state, more);
      }
      SP_WRITE(first + s, column + col, state, stop - edges[s]);
    }
  }
  if (has_tail && team < teams) {
    state = sp_start<A>(OP);
    if (team == 0 && edges[n - 1] < rows) {
      int q = edges[n - 1] / per;
      SP_GET(state, TAIL + q * cols + col);
      for (q += 1; q * per < rows; ++q) {
        SP_GET(more, q * cols + col);
        state = sp_join(OP, state, more);
      }
    }
    const int64_t tail_stop = (end + last - 1) / CHUNK + 1;
    for (int64_t q = int64_t(c) + 1 + team; q < tail_stop; q += FLIGHT * teams) {
      sp_state<A> got[FLIGHT];
      SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
        const int64_t safe = q + j * teams < tail_stop ? q + j * teams : tail_stop - 1;
        const int64_t i = safe * k + column + col;
        got[j].value = carry[i];
        if (OP == 5) got[j].weight = weight[i];
        if (OP >= 6) got[j].at = int64_t(place[i]);
      }
      SP_UNROLL for (int j = 0; j < FLIGHT; ++j) {
        if (q + j * teams < tail_stop) state = sp_join(OP, state, got[j]);
      }
    }
    SP_PUT(WHOLE + lid, state);
  }
}
if (has_tail) {
  SP_BARRIER;
  for (int active = teams; active > 1; active = (active + 1) / 2) {
    const int half_of = (active + 1) / 2;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      const int mate = lid + half_of * cols;
      if (lid < half_of * cols && mate < active * cols) {
        sp_state<A> a = sp_start<A>(OP), b = a;
        SP_GET(a, WHOLE + lid);
        SP_GET(b, WHOLE + mate);
        a = sp_join(OP, a, b);
        SP_PUT(WHOLE + lid, a);
      }
    }
    SP_BARRIER;
  }
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < cols) {
      sp_state<A> state = sp_start<A>(OP);
      SP_GET(state, WHOLE + lid);
      SP_WRITE(last - 1, column + lid, state, end - int64_t(indptr[last - 1]));
    }
  }
}
#undef SP_PUT
#undef SP_GET
#undef SP_WRITE
