// Ctrl-C. A call that Python waits for is Interruptible while it runs; kernels look from time to time whether the user
// stopped it, and leave by an exception. No Python here: who opens the call says how to ask.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>

namespace sp {

struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

class Interruptible;
// What the current thread works on: its own call, or the one that it helps; null where nobody can stop it.
inline constinit thread_local Interruptible* interruptible = nullptr;

class Interruptible {
 public:
  using Ask = bool (*)(); // whether to stop; called in the thread of the call, which may run anything meanwhile

  // ask: null where the user's signal goes to another thread.
  explicit Interruptible(Ask ask) : ask_(ask), next_(ask ? Clock::now() + pause : Clock::time_point{}), outer_(interruptible) {
    interruptible = this;
  }
  ~Interruptible() { interruptible = outer_; }
  Interruptible(const Interruptible&) = delete;

  bool asks() const { return ask_ != nullptr; }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // In the thread of the call: asks, but not more often than is good for the work.
  void poll() {
    if (!ask_ || stopped() || Clock::now() < next_) return;
    if (ask_()) stopped_.store(true, std::memory_order_relaxed);
    next_ = Clock::now() + pause;
  }

  void look() {
    if (owner_ == &interruptible) poll();
    if (stopped()) throw Interrupted();
  }

  static constexpr std::chrono::milliseconds pause{50};

 private:
  using Clock = std::chrono::steady_clock;
  Ask ask_;
  Clock::time_point next_;
  Interruptible* outer_;
  Interruptible** owner_ = &interruptible; // tells the thread of the call from its helpers
  std::atomic<bool> stopped_{false};
};

// For kernels between pieces of some 10 us or more.
inline void check_interrupt() {
  if (interruptible) interruptible->look();
}

// For loops over slices: counts their steps (about 1 ns each) and looks now and then.
class Watch {
 public:
  void operator()(size_t steps) {
    if (steps < left_) left_ -= steps; else look();
  }

 private:
  void look() {
    left_ = every;
    check_interrupt();
  }
  static constexpr size_t every = 1 << 15;
  size_t left_ = every;
};

} // namespace sp
