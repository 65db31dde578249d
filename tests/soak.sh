#!/bin/bash
# Runs the release tests again and again while every core is kept busy: a test that depends on the machine
# being idle fails here. Usage: soak.sh [TIMES]
set -euo pipefail
cd "$(dirname "$0")/.."

busy=()
trap 'kill "${busy[@]}"' EXIT
for ((i = 0; i < $(nproc); ++i)); do
  while :; do :; done &
  busy+=($!)
done
ctest --preset release --repeat "until-fail:${1:-20}" --label-exclude check
