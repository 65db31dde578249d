#!/bin/sh
# Installs what is missing, builds the flagship example (examples/tour.cpp) and runs it. Arguments go to it.
set -eu
cd "$(dirname "$0")/.."
. cmake/packages.sh

need demo
# Same build as test.sh's, if it is there. Otherwise one without tests: they need more packages.
if [ ! -f build/release/build.ninja ]; then
  cmake --preset release -DCHIME_BUILD_TESTS=OFF
fi
cmake --build --preset release --target tour
exec build/release/examples/tour "$@"
