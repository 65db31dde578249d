#!/bin/bash
# Fuzzes the engine's wheel and models against their oracles, each for so many seconds.
# Usage: run.sh [SECONDS]; a crash leaves its input in the current folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for target in wheel models; do
  clang++-19 -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -I"$here/../../include" -I"$here/.." "$here/$target.cpp" -o "$work/$target"
  mkdir "$work/corpus.$target"
  echo "fuzzing $target"
  "$work/$target" -max_total_time="${1:-60}" -max_len=2000 -verbosity=0 -print_final_stats=1 "$work/corpus.$target" 2>&1 |
    tail -n 12
done
