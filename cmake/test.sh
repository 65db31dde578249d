#!/bin/sh
# Installs what is missing, builds chime's tests and examples, and runs the tests. Arguments go to ctest.
# CHIME_PRESET names another preset than release (CMakePresets.json).
set -eu
cd "$(dirname "$0")/.."
. cmake/packages.sh

preset=${CHIME_PRESET:-release}
need test
# What ccache has of another checkout serves here.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=true
# In CI a warning is an error. Elsewhere the compiler may be newer than any we have seen.
cmake --preset "$preset" ${CI:+-DCHIME_WERROR=ON}
cmake --build --preset "$preset"

log=build/$preset/Testing/Temporary/LastTest.log
rm -f "$log"
status=0
ctest --preset "$preset" "$@" || status=$?

# A test case that cannot run here (no CAP_SYS_TIME, say) prints SKIPPED: and why. ctest would show that of
# failed tests only.
if [ -f "$log" ]; then
  awk '/ Testing: / { test = $NF }
       /^SKIPPED:/ { if (!n++) print "\nNot tested here:"; print "  " test ": " $0 }' "$log"
fi
exit $status
