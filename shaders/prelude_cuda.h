// The subset every shader is written in, for CUDA: Metal's names for the positions, and the macros of prelude_metal.h.
#define threadgroup_position_in_grid blockIdx
#define thread_index_in_threadgroup threadIdx.x
// Raw bytes, because CUDA allows no constructors in shared memory.
#define SP_SHARED(A, name, n)                                  \
  __shared__ alignas(16) unsigned char name##_raw[sizeof(A) * (n)]; \
  A* name = reinterpret_cast<A*>(name##_raw)
#define SP_BARRIER __syncthreads()
#define SP_BARRIER_ALL __syncthreads()
#define SP_THREADS(lid, id) for (int lid = int(id), lid##_once = 1; lid##_once != 0; lid##_once = 0)
#define SP_UNROLL _Pragma("unroll")
// Adds to an element of an output, float32 only.
#define SP_ATOMIC_ADD(element, value) atomicAdd(&(element), value)
// An input that is written to; a counter of groups that have come so far; and what they wrote before is seen behind it.
// SP_ARRIVE and SP_AWAIT are for one thread of a group, behind and before a barrier of it: the counter goes one further, and
// has come that far. What groups wrote before they arrived is seen then.
#define SP_INPLACE(T, element) const_cast<T&>(element)
#define SP_TICKET(element) atomicAdd(const_cast<int*>(&(element)), 1)
#define SP_FENCE __threadfence()
#define SP_ORDERED asm volatile("fence.acq_rel.gpu;" ::: "memory")
#define SP_ARRIVE(element) \
  do {                     \
    SP_ORDERED;            \
    SP_TICKET(element);    \
  } while (false)
#define SP_AWAIT(element, least)                                                      \
  do {                                                                                \
    while (*(const volatile int*)(&(element)) < (least)) __nanosleep(32);             \
    SP_ORDERED;                                                                       \
  } while (false)
#define SP_REAL(z) (z).real()
#define SP_IMAG(z) (z).imag()
#define SP_FUNCTION __device__ __forceinline__
#define SP_INFINITY __int_as_float(0x7f800000)
#define SP_COMPLEX sp_complex

template <typename A> __device__ __forceinline__ A sp_mul(A a, A b) { return A(a * b); }
template <typename A> __device__ __forceinline__ A sp_add(A a, A b) { return A(a + b); }
__device__ __forceinline__ bool sp_mul(bool a, bool b) { return a && b; }
__device__ __forceinline__ bool sp_add(bool a, bool b) { return a || b; }

// Without the checks for infinities that a conforming complex product makes.
using sp_complex = cuda::std::complex<float>;
__device__ __forceinline__ sp_complex sp_mul(sp_complex a, sp_complex b) {
  return sp_complex(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
}
__device__ __forceinline__ sp_complex sp_add(sp_complex a, sp_complex b) {
  return sp_complex(a.real() + b.real(), a.imag() + b.imag());
}

// a b rounded, never joined to a sum; and what the rounding took away.
__device__ __forceinline__ float sp_rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float sp_product_error(float a, float b, float rounded) { return __fmaf_rn(a, b, -rounded); }

// Of floats alone: other types only have to compile.
template <typename A> __device__ __forceinline__ A sp_exp(A a) { return A(expf(float(a))); }
template <typename A> __device__ __forceinline__ A sp_log(A a) { return A(logf(float(a))); }
__device__ __forceinline__ sp_complex sp_exp(sp_complex a) { return a; }
__device__ __forceinline__ sp_complex sp_log(sp_complex a) { return a; }
