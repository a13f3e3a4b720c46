#include "wait.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_set>

#include "../interrupt.h"
#include "../memory.h"
#include "mlx/primitives.h"
#include "mlx/scheduler.h"
#include "node.h"

namespace sp {

namespace {

// Threads that wait for one array must not both change its state, nor one of them walk the graph that another evaluates.
// Not to be waited for with the interpreter's lock in hand, which what is evaluated meanwhile may need.
std::mutex* graph = new std::mutex; // leaked: threads may outlive static destruction

// In a forked child: the first of the streams that are its own. In any other process 0.
std::atomic<int> first_stream{0};

bool left_behind(mx::Stream s) { return s.device == mx::Device::gpu || s.index < first_stream; }

// Throws where `arrays` wait for work that was begun, or is to be done, on a stream of the parent process.
void refuse_work_of_parent(const std::vector<mx::array>& arrays) {
  auto todo = arrays;
  std::unordered_set<std::uintptr_t> seen;
  while (!todo.empty()) {
    const auto a = todo.back();
    todo.pop_back();
    if (a.is_available() || !seen.insert(a.id()).second) continue;
    const bool pending = a.status() == mx::array::Status::unscheduled;
    const bool lost = pending ? a.has_primitive() && left_behind(a.primitive().stream())
                              : a.event().valid() && left_behind(a.event().stream());
    if (lost) {
      throw std::runtime_error(
          "this process was forked, and the value asked for was still to be computed by MLX in the parent, whose threads "
          "a fork does not copy: evaluate it before the fork (mx.eval), or start processes with "
          "multiprocessing.get_context(\"spawn\")");
    }
    if (pending) todo.insert(todo.end(), a.inputs().begin(), a.inputs().end());
  }
}

// Told when a stream gets past a task, or drops it.
struct Passed {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;

  void tell() {
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    changed.notify_all();
  }
  bool wait() {
    std::unique_lock<std::mutex> lock(mutex);
    return changed.wait_for(lock, Interruptible::pause, [&] { return done; });
  }
};

struct Teller {
  std::shared_ptr<Passed> passed;
  explicit Teller(std::shared_ptr<Passed> p) : passed(std::move(p)) {}
  ~Teller() { passed->tell(); }
};

// Until the stream, which works in order, has done what it was given so far.
void wait_for_stream(mx::Stream s) {
  auto passed = std::make_shared<Passed>();
  mx::scheduler::enqueue(s, [teller = std::make_shared<Teller>(passed)] { teller->passed->tell(); });
  while (!passed->wait()) check_interrupt();
}

// Most waits are short: a little patience costs less than to be woken. Not where many elements are to be made.
bool soon_there(const std::vector<mx::array>& arrays) {
  size_t elements = 0;
  for (auto& a : arrays) elements += a.size();
  if (elements > size_t{1} << 17) return false;
  for (int patience = 50; patience > 0; --patience) {
    {
      const std::lock_guard<std::mutex> lock(*graph);
      if (std::all_of(arrays.begin(), arrays.end(), [](auto& a) { return a.is_available(); })) return true;
    }
    std::this_thread::yield();
  }
  return false;
}

// What was thrown for an array is not to be thrown again for the next one of its stream.
void forget_error(mx::Stream s) {
  try {
    mx::scheduler::check_error(s);
  } catch (const std::exception&) {
  }
}

// Views, whose elements may be more than their memory holds.
bool is_view(const mx::array& a) {
  const std::string_view name = a.primitive().name();
  return name == "Broadcast" || name == "BroadcastAxes" || name == "AsStrided";
}

// What MLX makes of what is there without a look at the elements.
bool moves_nothing(const mx::array& a) {
  const std::string_view name = a.primitive().name();
  if (name == "Reshape") return is_there(a.inputs()[0]) && a.inputs()[0].flags().row_contiguous; // else it is a copy
  return name == "Slice" || name == "Squeeze" || name == "ExpandDims" || name == "Transpose";
}

} // namespace

bool is_there(const mx::array& a) {
  if (a.status() == mx::array::Status::available) return true;
  const std::unique_lock lock(*graph, std::try_to_lock);
  return lock && a.is_available();
}

void expect_evaluation(const mx::array& a) {
  if (a.status() == mx::array::Status::available) return;
  size_t most = 0;
  std::vector<mx::array> todo{a};
  std::unordered_set<std::uintptr_t> seen;
  for (const std::lock_guard lock(*graph); !todo.empty();) {
    const auto next = todo.back();
    todo.pop_back();
    if (next.is_available() || !next.has_primitive() || !seen.insert(next.id()).second) continue;
    const size_t bytes = bytes_of(next.shape(), next.dtype());
    if (!is_view(next)) most = std::max(most, bytes);
    todo.insert(todo.end(), next.inputs().begin(), next.inputs().end());
  }
  if (most >= kPendingBytes) ask_for_memory(most);
}

void wait_for(std::vector<mx::array> arrays) {
  if (first_stream != 0) refuse_work_of_parent(arrays);
  for (auto& a : arrays) if (a.is_tracer()) return mx::eval(std::move(arrays)); // constants of a trace: MLX's own way only
  std::set<mx::Stream> busy;
  {
    const std::lock_guard<std::mutex> lock(*graph);
    mx::async_eval(arrays);
    for (auto& a : arrays) if (!a.is_available() && a.event().valid()) busy.insert(a.event().stream());
  }
  try {
    if (!soon_there(arrays)) {
      for (auto s : busy) {
        if (s.device == mx::Device::gpu) return mx::eval(std::move(arrays));
        wait_for_stream(s);
      }
    }
    const std::lock_guard<std::mutex> lock(*graph);
    mx::eval(arrays); // what went wrong is thrown here
    for (auto& a : arrays) a.wait(); // done already: this lets go of the event, which two threads must not do at once
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    for (auto s : busy) forget_error(s);
    throw;
  }
}

void settle(const std::vector<mx::array>& arrays) {
  std::vector<mx::array> pending;
  for (auto& a : arrays) {
    if (is_there(a) || a.is_tracer()) continue;
    if (a.has_primitive() && (dynamic_cast<const Node*>(&a.primitive()) || moves_nothing(a))) {
      evaluated_at_once(a, std::numeric_limits<size_t>::max());
    }
    if (!is_there(a)) pending.push_back(a);
  }
  if (!pending.empty()) wait_for(std::move(pending));
}

void before_fork() {
  if (const auto s = mx::peek_default_stream(mx::Device::cpu)) mx::synchronize(*s);
}

void after_fork_in_child() {
  graph = new std::mutex; // a thread that is gone may have held it
  if (mx::is_available(mx::Device::gpu)) { // whose driver does not survive a fork
    first_stream = std::numeric_limits<int>::max();
    return;
  }
  const auto s = mx::new_stream(mx::Device::cpu);
  first_stream = s.index;
  mx::set_default_stream(s);
}

} // namespace sp
