#!/usr/bin/env bash
# Runs the threaded tests under ThreadSanitizer, in a build of its own: tools/tsan.sh [arguments of pytest]
# Fails where a test does, or where a report is left; reports are build/tsan/report.*, one file a process.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build/tsan
[ -f "$build/build.ninja" ] || meson setup -Dbuildtype=plain -Doptimization=1 -Dcpp_args=-g1 -Db_sanitize=thread -Db_lundef=false "$build"
nice ninja -j "${JOBS:-2}" -C "$build"
rm -rf "$build"/site "$build"/report.*
mkdir -p "$build/site"
cp -r mlx_sparse "$build/site/"
cp "$build"/native/_native*.so "$build/native/_built_with.py" "$build/site/mlx_sparse/"

# Python and MLX are not instrumented: what they read and write is left out, but the locks that they take are seen, as
# libtsan is loaded before them. MLX hands freed buffers from thread to thread by what is not seen, so it keeps none:
# malloc and free are. A forked child starts threads, as the tests ask of it.
export MLX_SPARSE_CACHE_LIMIT=0
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 die_after_fork=0 exitcode=0 history_size=4 \
suppressions=$PWD/tools/tsan.supp log_path=$build/report ${TSAN_OPTIONS:-}"
export MLX_SPARSE_CPU_THREADS=${MLX_SPARSE_CPU_THREADS:-4} PYTHONPATH=$build/site${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
[ $# -gt 0 ] || set -- scipy_compat_tests/properties/test_threads.py \
  scipy_compat_tests/native/test_{thread_counts,interrupts,interpreter_lock}.py
failed=0
# Without random addresses: some kernels place more than ThreadSanitizer can map.
LD_PRELOAD=$(g++ -print-file-name=libtsan.so) setarch -R python -m pytest -q -p no:cacheprovider "$@" || failed=1
warnings=$(cat "$build"/report.* 2>/dev/null | grep -c "WARNING: ThreadSanitizer" || true)
echo "$warnings warnings of ThreadSanitizer"
[ "$warnings" = 0 ] && [ $failed = 0 ]
