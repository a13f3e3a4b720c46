// Waiting for arrays of MLX's graph: so that the user can interrupt it, and never for a thread that a fork left behind.
#pragma once

#include <vector>

#include "mlx/mlx.h"

namespace sp {

namespace mx = mlx::core;

// Whether `a` has been evaluated; perhaps "no" while another thread waits for arrays. is_available() lets go of a past
// event, which two threads must not do at once.
bool is_there(const mx::array& a);

// expect_memory for each array that has to be computed before `a` is there.
void expect_evaluation(const mx::array& a);

// Evaluates. Within an Interruptible call the wait can be interrupted; the stream then ends what it has begun.
void wait_for(std::vector<mx::array> arrays);

// MLX evaluates an array only in the Python thread that made it: what every thread may use is evaluated when it is made.
// Evaluates those that are pending and not traced, as far as it can on the calling thread: that is quicker than MLX's.
void settle(const std::vector<mx::array>& arrays);

// Around a fork: no work of this thread is left in flight; in the child, a new default stream takes the place of the
// parent's, whose thread the child does not have.
void before_fork();
void after_fork_in_child();

} // namespace sp
