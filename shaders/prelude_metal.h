// The subset every shader is written in, for Metal. MLX's own preamble supplies complex64_t and the 16-bit floats.
#define SP_SHARED(A, name, n) threadgroup A name[n]
#define SP_BARRIER threadgroup_barrier(mem_flags::mem_threadgroup)
// For buffers that the group writes to, too.
#define SP_BARRIER_ALL threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device)
#define SP_THREADS(lid, id) for (int lid = int(id), lid##_once = 1; lid##_once != 0; lid##_once = 0)
#define SP_UNROLL _Pragma("clang loop unroll(full)")
#define SP_ATOMIC_ADD(element, value) \
  atomic_fetch_add_explicit((device atomic_float*)(&(element)), value, memory_order_relaxed)
// What takes part in a kernel's order by hand: an input that is written to, a counter of groups that have come so far, and
// memory that others see. Metal has no order between groups: shaders do without there.
#define SP_INPLACE(T, element) (*(device T*)&(element))
#define SP_TICKET(element) atomic_fetch_add_explicit((device atomic_int*)(&(element)), 1, memory_order_relaxed)
#define SP_FENCE threadgroup_barrier(mem_flags::mem_device)
#define SP_ARRIVE(element) (void)(element)
#define SP_AWAIT(element, least) (void)(least)
#define SP_FUNCTION inline
#define SP_REAL(z) (z).real
#define SP_IMAG(z) (z).imag
#define SP_INFINITY INFINITY
#define SP_COMPLEX complex64_t

template <typename A> inline A sp_mul(A a, A b) { return A(a * b); }
template <typename A> inline A sp_add(A a, A b) { return A(a + b); }
inline bool sp_mul(bool a, bool b) { return a && b; }
inline bool sp_add(bool a, bool b) { return a || b; }

// a b rounded, never joined to a sum; and what the rounding took away.
inline float sp_rounded_product(float a, float b) {
  #pragma METAL fp contract(off)
  return a * b;
}
inline float sp_product_error(float a, float b, float rounded) { return fma(a, b, -rounded); }

// Of floats alone: other types only have to compile.
template <typename A> inline A sp_exp(A a) { return A(exp(float(a))); }
template <typename A> inline A sp_log(A a) { return A(log(float(a))); }
inline complex64_t sp_exp(complex64_t a) { return a; }
inline complex64_t sp_log(complex64_t a) { return a; }
