#!/usr/bin/env bash
# Runs the threaded tests under ThreadSanitizer, in a build of its own: tools/tsan.sh [arguments of pytest]
# Neither Python nor MLX is instrumented, so what they do themselves is left out; locks that they take are seen.
# Reports go to build/tsan/report.*; it fails if one names this package.
set -eu
cd "$(dirname "$0")/.."
build=build/tsan
[ -f $build/build.ninja ] || meson setup -Dbuildtype=debug -Doptimization=1 -Db_sanitize=thread -Db_lundef=false $build .
ninja -C $build
rm -rf $build/site $build/report.*
mkdir -p $build/site
cp -r mlx_sparse $build/site/
cp $build/native/_native*.so $build/native/_built_with.py $build/site/mlx_sparse/

# MLX's own code and what Python does with the interpreter's lock in hand.
cat > $build/suppressions <<'END'
race:libmlx.so
race:libpython
race:mlx::core::array::
called_from_lib:libmlx.so
called_from_lib:libopenblas
END
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=0 exitcode=0 history_size=4 \
suppressions=$PWD/$build/suppressions log_path=$PWD/$build/report"
export PYTHONPATH=$PWD/$build/site
LD_PRELOAD=$(g++ -print-file-name=libtsan.so) python -m pytest -q -p no:cacheprovider \
  "${@:-scipy_compat_tests/properties/test_threads.py}"
if grep -ls "mlx_sparse/_native" $build/report.*; then exit 1; fi
