// The subset every shader is written in, for the host. Code outside SP_THREADS is uniform over the threadgroup and runs
// once; an SP_THREADS block is a loop over the group's threads.
#define SP_SHARED(A, name, n) SharedBuffer<A, (n)> name(host_group, #name)
#define SP_BARRIER host_group.barrier()
#define SP_BARRIER_ALL host_group.barrier()
#define SP_THREADS(lid, id)                        \
  for (int lid##_step = host_group.enter(), lid = 0; \
       lid##_step < GROUP ? (lid = host_group.at(lid##_step, GROUP), true) : host_group.leave(); ++lid##_step)
#define SP_UNROLL
#define SP_ATOMIC_ADD(element, value) std::atomic_ref<float>(element).fetch_add(value, std::memory_order_relaxed)
#define SP_INPLACE(T, element) (element)
#define SP_TICKET(element) std::atomic_ref<int32_t>(element).fetch_add(1)
#define SP_FENCE std::atomic_thread_fence(std::memory_order_seq_cst)
#define SP_ARRIVE(element) SP_TICKET(element)
#define SP_AWAIT(element, least) host_group.await(element, least)
#define SP_FUNCTION inline
#define SP_REAL(z) (z).real()
#define SP_IMAG(z) (z).imag()
#define SP_INFINITY HUGE_VALF
#define SP_COMPLEX complex64_t

template <class A> inline A sp_mul(A a, A b) { return mul(a, b); }
template <class A> inline A sp_add(A a, A b) { return add(a, b); }

// a b rounded, and what the rounding took away. The executor is compiled without contraction.
inline float sp_rounded_product(float a, float b) { return a * b; }
inline float sp_product_error(float a, float b, float rounded) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b) - static_cast<double>(rounded)); // exact
}

// Of floats alone: other types only have to compile.
template <class A> inline A sp_exp(A a) {
  if constexpr (std::is_floating_point_v<A>) return std::exp(a);
  else return a;
}
template <class A> inline A sp_log(A a) {
  if constexpr (std::is_floating_point_v<A>) return std::log(a);
  else return a;
}
inline double sp_lowest(double) { return -HUGE_VAL; }
inline double sp_highest(double) { return HUGE_VAL; }
