#include "parallel.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#elif defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sp {

int available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

namespace {

std::atomic<int> configured{0};
thread_local bool inside_pool = false;

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// One job at a time, whose state is one word: its number, how many workers may take part, whether it is open to them,
// and how many are in it. A worker that comes late, as on a busy machine, finds it closed and is not waited for. Workers
// spin for a fraction of a millisecond before they sleep, because jobs arrive in trains (iterations, calls one after the
// other) and waking one takes as long as a small product; where they come one by one, or without work for this worker, it
// spins for less than before the last.
class Pool {
 public:
  // True when the job ran; false when another thread holds the pool.
  bool run(int parts, int threads, FunctionRef<void(int)> body) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    threads = std::min(threads, 1 + grow(threads - 1));
    error_ = nullptr;
    body_ = &body; // nobody is in the last job any more
    call_ = interruptible;
    parts_ = parts;
    next_.store(0, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const uint64_t number = (job_.load(std::memory_order_relaxed) >> kNumber) + 1;
      job_.store(number << kNumber | static_cast<uint64_t>(threads - 1) << kHelpers | kOpen, std::memory_order_release);
      for (int w = 0; w < threads - 1; ++w) {
        if (workers_[w]->asleep) workers_[w]->wake.notify_one();
      }
    }
    work(body, parts);
    job_.fetch_and(~kOpen, std::memory_order_acq_rel);
    inside_pool = true; // for what a signal's handler runs
    for (int spin = 0; (job_.load(std::memory_order_acquire) & kInside) != 0; ++spin) {
      if (spin < 4000) {
        relax();
        continue;
      }
      if (interruptible) interruptible->poll();
      std::this_thread::yield(); // the machine is busy: let the worker have this core
    }
    inside_pool = false;
    body_ = nullptr;
    if (error_) std::rethrow_exception(error_);
    return true;
  }

 private:
  static constexpr int kHelpers = 16, kNumber = 32;
  struct Worker {
    std::condition_variable wake;
    bool asleep = false; // under mutex_
  };
  static constexpr uint64_t kInside = (1 << 15) - 1, kOpen = 1 << 15, kMost = (1 << 16) - 1;

  void work(FunctionRef<void(int)> body, int parts) {
    const bool outer = inside_pool;
    inside_pool = true;
    for (int p; (p = next_.fetch_add(1, std::memory_order_relaxed)) < parts;) {
      try {
        check_interrupt();
        body(p);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
    }
    inside_pool = outer;
  }

  // As many workers as are wanted, or as can be had; returns their number.
  int grow(int wanted) {
    wanted = std::min(wanted, static_cast<int>(kInside));
    try {
      while (static_cast<int>(workers_.size()) < wanted) {
        workers_.reserve(workers_.size() + 1); // nothing may fail once it runs
        auto worker = std::make_unique<Worker>();
        std::thread([this, seen = number(), self = static_cast<int>(workers_.size()), w = worker.get()] { loop(seen, self, *w); }).detach();
        workers_.push_back(std::move(worker));
      }
    } catch (const std::system_error&) { // no memory for a stack, or no more threads allowed
    }
    return static_cast<int>(workers_.size());
  }

  uint64_t number() const { return job_.load(std::memory_order_acquire) >> kNumber; }

  void loop(uint64_t seen, int self, Worker& worker) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::microseconds kTrain{300}; // between one job and the next
    constexpr int kPatience = 6000;
    for (int patience = kPatience;;) {
      const auto idle = Clock::now();
      for (int spin = 1; number() == seen && spin < patience; ++spin) {
        if (spin % 64 == 0) std::this_thread::yield(); // to whoever has work on a busy machine
        else relax();
      }
      if (number() == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        worker.asleep = true;
        worker.wake.wait(lock, [&] { return number() != seen; });
        worker.asleep = false;
      }
      const bool train = Clock::now() - idle < kTrain;
      uint64_t job = job_.load(std::memory_order_acquire);
      bool inside = false;
      while (!inside && (job & kOpen) && self < static_cast<int>(job >> kHelpers & kMost)) {
        inside = job_.compare_exchange_weak(job, job + 1, std::memory_order_acq_rel, std::memory_order_acquire);
      }
      seen = job >> kNumber;
      patience = inside && train ? kPatience : patience / 2;
      if (!inside) continue;
      interruptible = call_;
      work(*body_, parts_);
      interruptible = nullptr;
      job_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex owner_, mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<uint64_t> job_{0};
  std::atomic<int> next_{0};
  const FunctionRef<void(int)>* body_ = nullptr;
  Interruptible* call_ = nullptr; // that the job belongs to
  int parts_ = 0;
  std::exception_ptr error_;
};

// Leaked on purpose: workers may outlive static destruction. A forked child has no workers, so it starts a new pool.
Pool*& pool_slot() {
  static Pool* slot = [] {
#if defined(__linux__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { pool_slot() = new Pool; });
#endif
    return new Pool;
  }();
  return slot;
}

} // namespace

int n_threads() {
  int n = configured.load(std::memory_order_relaxed);
  if (n == 0) configured.store(n = available_cores(), std::memory_order_relaxed);
  return n;
}

void set_n_threads(int n) { configured.store(std::max(1, n)); }

void run_parts(int parts, FunctionRef<void(int)> body) {
  const int threads = std::min(parts, planned_threads());
  if (threads > 1 && !inside_pool && pool_slot()->run(parts, threads, body)) return;
  for (int p = 0; p < parts; ++p) {
    check_interrupt();
    body(p);
  }
}

void parallel_for(size_t n, int parts, RangeRef body) {
  if (parts <= 1) return body(size_t{0}, n);
  run_parts(parts, [&](int p) { body(n * p / parts, n * (p + 1) / parts); });
}

double triad(size_t n) {
  std::vector<double> a(n, 0.0), b(n, 1.0), c(n, 2.0);
  std::vector<double> rates;
  for (int repeat = 0; repeat < 11; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(n, n_threads(), [&](size_t lo, size_t hi) {
      for (size_t i = lo; i < hi; ++i) a[i] = b[i] + 3.0 * c[i];
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    rates.push_back(24.0 * n / took.count());
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

} // namespace sp
