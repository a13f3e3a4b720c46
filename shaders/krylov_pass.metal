// partial[dot, group, column] = the sum of a group's terms of a dot product, in one pass of a recorded recurrence.
// A pass (native/primitives/krylov.h) is a product by rows, if there is one, the operations on vectors that follow it, and
// the sums of their dot products; then the scalar instructions after it. `code` says which, in words that krylov_gpu.cpp
// lays out. Vectors are (n, k), row-major, and lie in `memory`, `span` elements apart. A group takes chunks of rows: first
// their products, one or more threads to a row, then the operations, for which a thread has a column and some rows, whose
// elements no other thread reads or writes, but for the product's operand. Scalars are (slots, k).
// The group that ends last adds up all groups' partial sums and runs the scalar instructions (phase 0); or a launch of its
// own does (phase 1: vectors only; 2: scalars only, from the partial sums `before`). Parts and orders of sums are fixed, so
// results do not depend on scheduling. Once state[0] is set nothing is done. Phase 3 brings `right` in from a vector on,
// phase 4 takes that out, as `partial`.
// state: ended, tickets, tests done; from 8 on, by column: open, codes, steps. norms: the last ones, then those of tests,
// or the numbers that a step gives to the host, of which a ring is kept.
// Cost: a pass reads the matrix once, and each vector once for each operation that has it.
//! in matrix: T, columns: I, starts: I, diagonal: T, right: T, code: C, bounds: F, before: T
//! inout memory: T, scalars: T, state: C, norms: F
//! out partial: T
//! with T: single, I: index, C: int32, F: float32, PRODUCT: 0..2
constexpr int GROUP = 256;
constexpr int RESIDENT = 5;
constexpr int SLOTS = 2048;
constexpr int DOTS = 4;
constexpr int UNROLL = 4;
constexpr int AHEAD = 32 / sizeof(T); // entries of a row that are in flight at once
constexpr int HEADER = 20;
constexpr int WORDS = 512;
// What a long program has beyond these is read where it lies.
#define SP_WORD(i) ((i) < WORDS ? words[i] : code[i])
SP_SHARED(T, held, SLOTS);
SP_SHARED(T, sums, DOTS * GROUP);
SP_SHARED(int, flags, GROUP);
SP_SHARED(int, verdict, 4);
SP_SHARED(int, words, WORDS);
const int operations = code[0], dots = code[1], instructions = code[5], k = code[8], groups = code[11], phase = code[15];
const int64_t n = code[7], span = int64_t(code[9]) * k;
if (phase > 2) {
  const int64_t at = (phase == 3 ? code[3] : code[4]) * span;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int64_t e = int64_t(threadgroup_position_in_grid.x) * GROUP + lid; e < n * k; e += int64_t(groups) * GROUP) {
      if (phase == 3) SP_INPLACE(T, memory[at + e]) = right[e];
      else partial[e] = memory[at + e];
    }
  }
  return;
}
SP_THREADS(lid, thread_index_in_threadgroup) {
  for (int i = lid; i < code_shape[0] && i < WORDS; i += GROUP) words[i] = code[i];
}
if (state[0] != 0) return;

if (phase != 2) {
  // PRODUCT 2: the operand is a * (vector `from`) + b * (vector `other`), and becomes the vector `made`.
  const int64_t into = code[3] * span, from = code[4] * span, made = code[16] * span, other = code[17] * span;
  const int first = int(threadgroup_position_in_grid.y) * GROUP;
  const int width = k - first < GROUP ? k - first : GROUP;
  const int rows = GROUP / width; // at a time
  const int lanes = code[12];     // that share a row of the product, of one column
  // What follows a product are sums alone, of elements that the thread which makes a row has.
  const bool sums_at_once = PRODUCT > 0 && lanes == 1 && operations == dots;
  const int64_t chunk = sums_at_once ? n : int64_t(code[2]) * rows;
  SP_THREADS(lid, thread_index_in_threadgroup) {
    for (int d = 0; d < dots; ++d) sums[d * GROUP + lid] = T(0);
  }
  SP_BARRIER;
  const int64_t start = int64_t(threadgroup_position_in_grid.x) * (sums_at_once ? rows : chunk);
  for (int64_t begin = start; begin < n; begin += groups * chunk) {
    const int64_t end = begin + chunk < n ? begin + chunk : n;
    for (int64_t group_row = begin; PRODUCT > 0 && group_row < end; group_row += lanes == 1 ? n : rows / lanes) {
      SP_THREADS(lid, thread_index_in_threadgroup) {
        const int column = first + (width == 1 ? 0 : lid % width);
        const T a = PRODUCT > 1 ? T(scalars[code[18] * k + column]) : T(1);
        const T b = PRODUCT > 1 ? T(scalars[code[19] * k + column]) : T(1);
        const int64_t step = lanes > 1 ? n : sums_at_once ? int64_t(groups) * rows : int64_t(rows);
        int64_t row = lid < rows * width ? group_row + (width == 1 ? lid / lanes : lid / width) : n;
        for (; row < end; row += step) {
          const int64_t stop = int64_t(starts[row + 1]);
          T sum = T(0);
          for (int64_t e = int64_t(starts[row]) + lid % lanes; e < stop; e += AHEAD * lanes) {
            // The last entry that there is stands for others, as below.
            T values[AHEAD], operands[AHEAD];
            I places[AHEAD];
            SP_UNROLL for (int u = 0; u < AHEAD; ++u) {
              const int64_t entry = e + u * lanes < stop ? e + u * lanes : stop - 1;
              values[u] = matrix[entry];
              places[u] = columns[entry];
            }
            SP_UNROLL for (int u = 0; u < AHEAD; ++u) {
              const int64_t j = int64_t(places[u]) * k + column;
              operands[u] = memory[from + j];
              if (PRODUCT > 1) operands[u] = sp_add(sp_mul(a, operands[u]), sp_mul(b, T(memory[other + j])));
            }
            SP_UNROLL for (int u = 0; u < AHEAD; ++u) {
              if (e + u * lanes < stop) sum = sp_add(sum, sp_mul(values[u], operands[u]));
            }
          }
          const int64_t own = row * k + column;
          if (lanes > 1) held[lid] = sum;
          else SP_INPLACE(T, memory[into + own]) = sum;
          if (sums_at_once) {
            T operand = T(0);
            if (PRODUCT > 1) {
              operand = sp_add(sp_mul(a, T(memory[from + own])), sp_mul(b, T(memory[other + own])));
              SP_INPLACE(T, memory[made + own]) = operand;
            }
            for (int d = 0; d < dots; ++d) {
              const int64_t x = SP_WORD(HEADER + 6 * d + 2) * span, y = SP_WORD(HEADER + 6 * d + 3) * span;
              const T left = x == into ? sum : PRODUCT > 1 && x == made ? operand : T(memory[x + own]);
              const T right = y == into ? sum : PRODUCT > 1 && y == made ? operand : T(memory[y + own]);
              sums[d * GROUP + lid] = sp_add(sums[d * GROUP + lid], sp_mul(sp_conj(left), right));
            }
          }
        }
      }
      if (lanes > 1) {
        SP_BARRIER;
        SP_THREADS(lid, thread_index_in_threadgroup) {
          if (lid < rows / lanes && group_row + lid < end) {
            T sum = T(0);
            // From another one on in each thread: threads of neighbouring rows would ask the same bank of memory.
            for (int l = 0; l < lanes; ++l) sum = sp_add(sum, held[lid * lanes + (lid + l) % lanes]);
            SP_INPLACE(T, memory[into + group_row + lid]) = sum;
          }
        }
        SP_BARRIER;
      }
    }
    if (sums_at_once) continue;
    if (PRODUCT > 0) SP_BARRIER_ALL;
    SP_THREADS(lid, thread_index_in_threadgroup) {
      const int column = first + (width == 1 ? 0 : lid % width);
      for (int64_t own = begin + (width == 1 ? lid : lid / width); own < end && lid < rows * width; own += rows * UNROLL) {
        const int64_t base = own * k + column;
        // The last row that there is stands for others, so that loads need no guard and are in flight at once.
        int count = 0, at[UNROLL]; // from base on
        SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
          if (own + u * rows < end) count = u + 1;
          at[u] = (count - 1) * rows * k;
        }
        if (PRODUCT > 1) {
          const T a = T(scalars[code[18] * k + column]), b = T(scalars[code[19] * k + column]);
          SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
            const T x = sp_add(sp_mul(a, T(memory[from + base + at[u]])), sp_mul(b, T(memory[other + base + at[u]])));
            if (u < count) SP_INPLACE(T, memory[made + base + at[u]]) = x;
          }
        }
        // Words: operation, out, vectors x and y (-1: none), scalars a and b. Operands are on their way while the
        // operation before is done, or are its result.
        T next_x[UNROLL], next_y[UNROLL], next_a = T(0), next_b = T(0);
        int dot = 0;
        for (int i = -1; i < operations; ++i) {
          const int word = HEADER + 6 * i, next = word + 6;
          const int op = i < 0 ? 0 : SP_WORD(word);
          const int out = i < 0 || op == 17 ? -1 : SP_WORD(word + 1);
          const T a = next_a, b = next_b;
          T x[UNROLL], y[UNROLL], result[UNROLL];
          SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
            x[u] = next_x[u];
            y[u] = next_y[u];
          }
          int from_x = -1, from_y = -1;
          if (i + 1 < operations) {
            from_x = SP_WORD(next + 2);
            from_y = SP_WORD(next + 3);
            next_a = scalars[SP_WORD(next + 4) * k + column];
            next_b = scalars[SP_WORD(next + 5) * k + column];
          }
          if (from_x >= 0 && from_x != out) {
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) next_x[u] = memory[from_x * span + base + at[u]];
          }
          if (from_y >= 0 && from_y != out) {
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) next_y[u] = memory[from_y * span + base + at[u]];
          }
          if (i < 0) continue;
          if (op == 17) { // dot
            T sum = sums[dot * GROUP + lid];
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) sum = u < count ? sp_add(sum, sp_mul(sp_conj(x[u]), y[u])) : sum;
            sums[dot * GROUP + lid] = sum;
            ++dot;
            continue;
          }
          if (op == 15) { // combine
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) result[u] = sp_add(sp_mul(a, y[u]), sp_mul(b, x[u]));
          } else if (op == 14) { // plus
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) result[u] = sp_add(y[u], sp_mul(b, x[u]));
          } else if (op == 13) { // overwrite
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) result[u] = sp_mul(b, x[u]);
          } else if (op == 16) { // scale
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
              const int64_t row = own + (u < count ? u : count - 1) * rows;
              result[u] = sp_mul(T(diagonal[row]), x[u]);
            }
          } else if (op == 18) { // squares
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) result[u] = sp_mul(sp_conj(x[u]), x[u]);
          } else { // zero
            SP_UNROLL for (int u = 0; u < UNROLL; ++u) result[u] = T(0);
          }
          SP_UNROLL for (int u = 0; u < UNROLL; ++u) {
            if (u < count) SP_INPLACE(T, memory[out * span + base + at[u]]) = result[u];
            if (from_x == out) next_x[u] = result[u];
            if (from_y == out) next_y[u] = result[u];
          }
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

const int slots = code[10], share = code[13], ring = code[14];
const bool single = code[6] != 0;
SP_THREADS(lid, thread_index_in_threadgroup) {
  if (lid < 4) verdict[lid] = 0;
}
for (int begin_column = 0; begin_column < k; begin_column += share) {
  const int width = k - begin_column < share ? k - begin_column : share, rows = GROUP / width;
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
          case 23: // numbers for the host: as many as `fourth` says
            for (int g = 0; g < fourth; ++g) {
              SP_INPLACE(F, norms[k + ((tests % ring) * k + j) * fourth + g]) = sp_real(held[out + g * width]);
            }
            found = found | 7;
            kept = false;
            break;
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
