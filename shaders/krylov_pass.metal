// partial[dot, group, column] = the sum of a group's terms of a dot product, in one pass of a recorded recurrence.
// A pass (native/primitives/krylov.h) is a product by rows, if there is one, the operations on vectors that follow it, and
// the sums of their dot products; then the scalar instructions after it. `code` says which, in words that krylov_gpu.cpp
// lays out. Vectors are (n, k), row-major, and lie in `memory`, `span` elements apart. A thread has a column and some rows,
// of which it is the only one to read and write elements, but for the product's operand. Scalars are (slots, k).
// The group that ends last adds up all groups' partial sums and runs the scalar instructions (phase 0); or a launch of its
// own does (phase 1: vectors only; 2: scalars only, from the partial sums `before`). Parts and orders of sums are fixed, so
// results do not depend on scheduling. Once state[0] is set nothing is done. Phase 3 brings `right` in as a vector, phase 4
// takes one out, as `partial`.
// state: ended, tickets, tests done; from 8 on, by column: open, codes, steps. norms: the last ones, then those of tests,
// of which a ring is kept.
// Cost: a pass reads the matrix once, and each vector once for each operation that has it.
//! in matrix: T, columns: I, starts: I, diagonal: T, right: T, code: C, bounds: F, before: T
//! inout memory: T, scalars: T, state: C, norms: F
//! out partial: T
//! with T: single, I: index, C: int32, F: float32
constexpr int GROUP = 256;
constexpr int TILE = 2048;
constexpr int DOTS = 4;
constexpr int UNROLL = 2;
constexpr int HEADER = 16;
constexpr int WORDS = 512;
// What a long program has beyond these is read where it lies.
#define SP_WORD(i) ((i) < WORDS ? words[i] : code[i])
SP_SHARED(T, held, TILE);
SP_SHARED(T, sums, DOTS * GROUP);
SP_SHARED(T, totals, GROUP);
SP_SHARED(int, flags, GROUP);
SP_SHARED(int, verdict, 4);
SP_SHARED(int, words, WORDS);
SP_SHARED(int, stops, GROUP + 1);
const int operations = code[0], dots = code[1], instructions = code[5], k = code[8], groups = code[11], phase = code[15];
const bool has_product = code[2] != 0;
const int64_t n = code[7], span = int64_t(code[9]) * k;
if (phase > 2) {
  const int64_t at = (phase == 3 ? code[3] : code[4]) * span;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid; e < span; e += int64_t(groups) * GROUP) {
      if (phase == 3) SP_INPLACE(T, memory[at + e]) = right[e];
      else partial[e] = memory[at + e];
    }
  }
  return;
}
if (state[0] != 0) return;

SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int i = lid; i < code_shape[0] && i < WORDS; i += GROUP) words[i] = code[i];
}
if (phase != 2) {
  const int64_t into = code[3] * span, from = code[4] * span;
  const int first = int(threadgroup_position_in_grid.y) * GROUP;
  const int width = k - first < GROUP ? k - first : GROUP;
  const bool staged = has_product && k == 1;
  const int rows = staged ? code[12] : GROUP / width; // at a time
  const int lanes = GROUP / rows;
  const int64_t blocks = (n + rows * UNROLL - 1) / (rows * UNROLL);
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int d = 0; d < dots; ++d) sums[d * GROUP + lid] = T(0);
  }
  for (int64_t block = int64_t(threadgroup_position_in_grid.x); block < blocks; block += groups) {
    SP_BARRIER;
    if (staged) {
      for (int u = 0; u < UNROLL; ++u) {
        const int64_t begin_row = (block * UNROLL + u) * rows;
        const int count = begin_row >= n ? 0 : n - begin_row < rows ? int(n - begin_row) : rows;
        const int64_t begin = count > 0 ? int64_t(starts[begin_row]) : 0;
        const int64_t end = count > 0 ? int64_t(starts[begin_row + count]) : 0;
        SP_THREADS(lid, thread_index_in_threadgroup) {
          totals[lid] = T(0);
          // Early, so that the sums below do not wait for memory again.
          if (lid == 0) stops[0] = 0;
          if (lid < count) stops[lid + 1] = int(int64_t(starts[begin_row + lid + 1]) - begin);
        }
        SP_BARRIER;
        for (int64_t tile = begin; tile < end; tile += TILE) {
          const int staging = end - tile < TILE ? int(end - tile) : TILE;
          SP_THREADS(lid, thread_index_in_threadgroup) {
            // Clamped, not guarded: unconditional loads are all in flight at once.
            T terms[TILE / GROUP];
            I at[TILE / GROUP];
            SP_UNROLL for (int r = 0; r < TILE / GROUP; ++r) {
              const int i = r * GROUP + lid, safe = i < staging ? i : staging - 1;
              at[r] = columns[tile + safe];
              terms[r] = matrix[tile + safe];
            }
            SP_UNROLL for (int r = 0; r < TILE / GROUP; ++r) terms[r] = sp_mul(terms[r], memory[from + at[r]]);
            SP_UNROLL for (int r = 0; r < TILE / GROUP; ++r) {
              if (r * GROUP + lid < staging) held[r * GROUP + lid] = terms[r];
            }
          }
          SP_BARRIER;
          SP_THREADS(lid, thread_index_in_threadgroup) {
            const int row = lid / lanes;
            if (row < count) {
              const int gone = int(tile - begin), low = stops[row] - gone, high = stops[row + 1] - gone;
              const int stop = high < staging ? high : staging;
              T sum = T(0);
              for (int i = (low > 0 ? low : 0) + lid % lanes; i < stop; i += lanes) sum = sp_add(sum, held[i]);
              totals[lid] = sp_add(totals[lid], sum);
            }
          }
          SP_BARRIER;
        }
        for (int half_of = lanes / 2; half_of > 0; half_of /= 2) {
          SP_THREADS(lid, thread_index_in_threadgroup) {
            if (lid % lanes < half_of) totals[lid] = sp_add(totals[lid], totals[lid + half_of]);
          }
          SP_BARRIER;
        }
        SP_THREADS(lid, thread_index_in_threadgroup) {
          if (lid < count) SP_INPLACE(T, memory[into + begin_row + lid]) = totals[lid * lanes];
        }
        SP_BARRIER;
      }
    }
    SP_THREADS(lid, thread_index_in_threadgroup) {
      const int column = first + lid % width;
      int64_t row[UNROLL], at[UNROLL]; // at: -1 where there is no row
      SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
        row[u] = (block * UNROLL + u) * rows + lid / width;
        at[u] = lid < rows * width && row[u] < n ? row[u] * k + column : -1;
      }
      if (has_product && !staged) {
        for (int u = 0; u < UNROLL; ++u) {
          if (at[u] < 0) continue;
          T sum = T(0);
          const int64_t stop = int64_t(starts[row[u] + 1]);
          for (int64_t e = int64_t(starts[row[u]]); e < stop; ++e) {
            sum = sp_add(sum, sp_mul(T(matrix[e]), T(memory[from + int64_t(columns[e]) * k + column])));
          }
          SP_INPLACE(T, memory[into + at[u]]) = sum;
        }
      }
      int dot = 0;
      for (int i = 0; i < operations; ++i) {
        // Words: operation, out, vectors x and y, scalars a and b.
        const int word = HEADER + 6 * i, op = SP_WORD(word);
        const int64_t out = SP_WORD(word + 1) * span, x = SP_WORD(word + 2) * span, y = SP_WORD(word + 3) * span;
        const bool adds = op == 14 || op == 15;
        T xs[UNROLL], ys[UNROLL];
        SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
          if (at[u] >= 0 && op != 19) xs[u] = memory[x + at[u]];
          if (at[u] >= 0 && (adds || op == 17)) ys[u] = memory[y + at[u]];
        }
        if (op == 17) { // dot
          T sum = sums[dot * GROUP + lid];
          SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
            if (at[u] >= 0) sum = sp_add(sum, sp_mul(sp_conj(xs[u]), ys[u]));
          }
          sums[dot * GROUP + lid] = sum;
          ++dot;
          continue;
        }
        const T a = op == 15 ? T(scalars[SP_WORD(word + 4) * k + column]) : T(1);
        const T b = op <= 15 ? T(scalars[SP_WORD(word + 5) * k + column]) : T(1);
        SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
          if (at[u] < 0) continue;
          T made = T(0);                                                           // zero
          if (op <= 15) made = sp_mul(b, xs[u]);                                    // overwrite
          if (op == 14) made = sp_add(ys[u], made);                                 // plus
          if (op == 15) made = sp_add(sp_mul(a, ys[u]), made);                      // combine
          if (op == 16) made = sp_mul(T(diagonal[row[u]]), xs[u]);                  // scale
          if (op == 18) made = sp_mul(sp_conj(xs[u]), xs[u]);                       // squares
          SP_INPLACE(T, memory[out + at[u]]) = made;
        }
      }
    }
  }
  SP_BARRIER;
  if (dots > 0) {
    for (int active = rows; active > 1; active = (active + 1) / 2) {
      const int half_of = (active + 1) / 2;
      SP_THREADS(lid, thread_index_in_threadgroup) {
        if (lid / width + half_of < active) {
          for (int d = 0; d < dots; ++d) {
            sums[d * GROUP + lid] = sp_add(sums[d * GROUP + lid], sums[d * GROUP + lid + half_of * width]);
          }
        }
      }
      SP_BARRIER;
    }
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid < width) {
        for (int d = 0; d < dots; ++d) {
          partial[(int64_t(d) * groups + int64_t(threadgroup_position_in_grid.x)) * k + first + lid] = sums[d * GROUP + lid];
        }
      }
    }
    SP_BARRIER;
  }
}
if (instructions + dots == 0 || phase == 1) return;
if (phase == 0) {
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid == 0) {
      SP_FENCE; // for all that the group has written: a barrier is behind it
      flags[0] = SP_TICKET(state[1]);
    }
  }
  SP_BARRIER;
  const int ticket = flags[0];
  SP_BARRIER;
  if (ticket != groups * ((k + GROUP - 1) / GROUP) - 1) return;
  SP_FENCE;
}

const int slots = code[10], chunk = code[13], ring = code[14];
const bool single = code[6] != 0;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < 4) verdict[lid] = 0;
}
for (int begin_column = 0; begin_column < k; begin_column += chunk) {
  const int width = k - begin_column < chunk ? k - begin_column : chunk, rows = GROUP / width;
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int d = 0; d < dots; ++d) {
      T sum = T(0);
      if (lid < rows * width) {
        for (int g = lid / width; g < groups; g += rows) {
          const int64_t e = (int64_t(d) * groups + g) * k + begin_column + lid % width;
          sum = sp_add(sum, phase == 2 ? T(before[e]) : T(partial[e]));
        }
      }
      sums[d * GROUP + lid] = sum;
    }
    for (int i = lid; i < slots * width; i += GROUP) held[i] = scalars[i / width * k + begin_column + i % width];
  }
  SP_BARRIER;
  for (int active = dots > 0 ? rows : 1; active > 1; active = (active + 1) / 2) {
    const int half_of = (active + 1) / 2;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      if (lid / width + half_of < active) {
        for (int d = 0; d < dots; ++d) {
          sums[d * GROUP + lid] = sp_add(sums[d * GROUP + lid], sums[d * GROUP + lid + half_of * width]);
        }
      }
    }
    SP_BARRIER;
  }
  SP_THREADS(lid, thread_index_in_threadgroup) {
    if (lid < width) {
      const int j = begin_column + lid;
      bool open = state[8 + j] != 0;
      const int tests = state[2], taken = state[8 + 2 * k + j];
      const float bound = bounds[j];
      float norm = norms[j];
      int found = 0; // 1: tested, 2: a number, 4: goes on, 8: broken down
      int dot = 0;
      for (int i = 0; i < operations; ++i) {
        if (SP_WORD(HEADER + 6 * i) == 17) held[SP_WORD(HEADER + 6 * i + 1) * width + lid] = sums[dot++ * GROUP + lid];
      }
      for (int i = operations; i < operations + instructions; ++i) {
        const int word = HEADER + 6 * i, op = SP_WORD(word), fourth = SP_WORD(word + 4);
        const int out = SP_WORD(word + 1) * width + lid;
        const T a = held[SP_WORD(word + 2) * width + lid], b = held[SP_WORD(word + 3) * width + lid];
        T made = a; // 20: a copy
        bool kept = true;
        switch (op) {
          case 0: made = sp_add(a, b); break;
          case 1: made = sp_add(a, sp_negative(b)); break;
          case 2: made = sp_times(a, b); break;
          case 3: made = sp_negative(a); break;
          case 4: made = sp_made(a, sp_modulus(a), 0.0f); break;
          case 5: made = sp_conj(a); break;
          case 6: made = sp_made(a, sp_real(a), 0.0f); break;
          case 7: { // ratio
            const bool none = sp_real(b) == 0.0f && sp_imag(b) == 0.0f;
            made = open && !none ? sp_quotient(a, b) : T(0);
            if (none && single) found = found | 8;
            break;
          }
          case 8: { // above
            const float size = sp_modulus(a), least = sp_real(b);
            if (open && !(size > least && size < SP_INFINITY)) {
              if (size <= least && least < SP_INFINITY) SP_INPLACE(C, state[8 + k + j]) = fourth;
              if (single) found = found | 8;
              else open = false;
            }
            break;
          }
          case 9: made = sp_made(a, sp_root(sp_real(a)), 0.0f); break;
          case 10: made = open && (sp_real(a) != 0.0f || sp_imag(a) != 0.0f) ? sp_quotient(sp_made(a, 1.0f, 0.0f), a) : T(0); break;
          case 11: { // rotation
            const float u = sp_real(a), v = sp_real(b), least = sp_real(held[fourth * width + lid]);
            const float r = sp_hypot(u, v);
            const bool turns = open && r > least;
            made = sp_made(a, turns ? u / r : 0.0f, 0.0f);
            held[out + width] = sp_made(a, turns ? v / r : 0.0f, 0.0f);
            held[out + 2 * width] = sp_made(a, turns ? r : 0.0f, 0.0f);
            break;
          }
          case 21: // a step taken
            SP_INPLACE(C, state[8 + 2 * k + j]) = taken + (open ? 1 : 0);
            kept = false;
            break;
          case 22: { // test of the squared norm a; out: whether it may converge
            const float square = sp_real(a);
            found = 1 | (square == square ? 2 : 0);
            if (open) norm = sp_root(square);
            SP_INPLACE(F, norms[j]) = norm;
            SP_INPLACE(F, norms[k + (tests % ring) * k + j]) = norm;
            if (SP_WORD(word + 1) != 0 && open && norm < bound) {
              SP_INPLACE(C, state[8 + k + j]) = 0;
              open = false;
            }
            if (open) found = found | 4;
            kept = false;
            break;
          }
        }
        if ((found & 8) != 0 || (k == 1 && (found & 1) != 0 && (found & 6) != 6)) break;
        if (kept) held[out] = made;
      }
      SP_INPLACE(C, state[8 + j]) = open ? 1 : 0;
      flags[lid] = found;
    }
  }
  SP_BARRIER;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int i = lid; i < slots * width; i += GROUP) {
      SP_INPLACE(T, scalars[i / width * k + begin_column + i % width]) = held[i];
    }
    if (lid == 0) {
      for (int j = 0; j < width; ++j) verdict[0] = verdict[0] | flags[j];
    }
  }
}
SP_BARRIER;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid == 0) {
    const int found = verdict[0];
    SP_INPLACE(C, state[1]) = 0;
    if ((found & 3) == 3) SP_INPLACE(C, state[2]) = state[2] + 1;
    if ((found & 8) != 0 || ((found & 1) != 0 && (found & 6) != 6)) SP_INPLACE(C, state[0]) = 1;
  }
}
#undef SP_WORD
