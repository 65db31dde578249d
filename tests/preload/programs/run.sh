#!/usr/bin/env bash
# Programs that know nothing of chime, with the engine under them.
#   run.sh LIBCHIME_PRELOAD.SO [SECONDS]    SECONDS: how long each stressor runs (3; by hand 30)
set -uo pipefail
library=$(realpath "$1")
seconds=${2:-3}
here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check WHAT COMMAND...: it must succeed, within a minute and the stressor's time.
check() {
  local what=$1
  shift
  if timeout -s KILL $((seconds + 120)) bash -c '"$@"' _ "$@" >"$scratch/log" 2>&1; then
    echo "ok      $what"
  else
    echo "FAILED  $what (status $?)"
    sed 's/^/        /' "$scratch/log" | tail -n 30
    failed=1
  fi
}
under() { env LD_PRELOAD="$library" "$@"; }
export -f under
export library

# exits STATUS COMMAND...
exits() {
  local wanted=$1
  shift
  "$@"
  [ $? -eq "$wanted" ]
}
export -f exits

# What a command takes, in ms, must be from LEAST to MOST.
takes() {
  local least=$1 most=$2 start=${EPOCHREALTIME/./}
  shift 2
  "$@" || return 1
  local ms=$(((${EPOCHREALTIME/./} - start) / 1000))
  echo "$ms ms"
  [ $ms -ge "$least" ] && [ $ms -le "$most" ]
}
export -f takes

check "timeout ends a program" bash -c 'takes 300 20000 exits 124 under timeout 0.3 sleep 60'
check "timeout leaves a quick one alone" bash -c 'exits 0 under timeout 20 true'
check "timeout -s of a program that ignores the first" bash -c \
  'takes 400 20000 exits 137 under timeout -k 0.2 0.2 sh -c "trap : TERM; while :; do sleep 1; done"'
check "a shell's children" bash -c 'exits 124 under bash -c "timeout 0.2 bash -c \"sleep 30 & wait\""'

cat >"$scratch/itimer.py" <<'PYTHON'
import signal, time
count = 0
def tick(number, frame):
    global count
    count += 1
for which, number in ((signal.ITIMER_REAL, signal.SIGALRM), (signal.ITIMER_VIRTUAL, signal.SIGVTALRM),
                      (signal.ITIMER_PROF, signal.SIGPROF)):
    count = 0
    signal.signal(number, tick)
    signal.setitimer(which, 0.01, 0.01)
    end = time.monotonic() + 20
    while count < 5 and time.monotonic() < end:
        pass
    assert count >= 5, (which, count)
    value, interval = signal.setitimer(which, 0)
    assert 0 < value <= 0.02 and interval == 0.01, (value, interval)
PYTHON
check "Python's interval timers, counted" under python3 "$scratch/itimer.py"
cat >"$scratch/ignored.py" <<'PYTHON'
import os, signal, sys, time
for _ in range(40):
    child = os.fork()
    if child == 0:  # in each it is the first timer
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 1e-6, 1000)
        time.sleep(0.002)  # the engine's thread may be first
        while 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 1:
            pass
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        os._exit(0 if signal.getitimer(signal.ITIMER_REAL) == (0, 1000) else 1)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("it has begun anew")
PYTHON
for keeper in env under; do
  check "an interval timer that expires while ignored, ended for good, $keeper" $keeper python3 "$scratch/ignored.py"
done
if python3 -c 'import test.test_signal' 2>/dev/null; then
  check "Python's own test of signals" under python3 -m test test_signal
else
  echo "SKIPPED: Python's own tests are not installed"
fi

if command -v stress-ng >/dev/null; then
  for stressor in timer timerfd itimer alarm; do
    check "stress-ng --$stressor, $seconds s" under stress-ng --$stressor 1 --verify --timeout "$seconds"
  done
else
  echo "SKIPPED: stress-ng is not installed"
fi

# build NAME LIBRARY...
build() {
  local name=$1
  shift
  ${CXX:-g++} -std=c++20 -O1 -o "$scratch/$name" "$here/$name.cc" "$@" 2>"$scratch/log" && return
  if grep -q 'No such file' "$scratch/log"; then
    echo "SKIPPED: the headers of $name are not installed"
  else
    cat "$scratch/log"
    failed=1
  fi
  return 1
}
program() {
  build "$@" || return
  check "$1 on the kernel" "$scratch/$1"
  check "$1 on the engine" under "$scratch/$1"
}
program_at_speed() {
  build "$@" || return
  check "60 times as fast: $1" under "$scratch/$1"
}
program asio -pthread
program event -levent
program uv -luv
program ev -lev
program ping
program tls
build tls -fsanitize=thread && check "tls with a sanitizer that stands before libc" under "$scratch/tls"

# The kernel and the engine say the same of random calls. (Where the machine stands still for long they may not, once.)
agree() {
  local seed try
  for ((seed = $1; seed < $1 + $2; ++seed)); do
    for try in 1 2 3; do
      "$scratch/random" $seed >"$scratch/kernel" && under "$scratch/random" $seed >"$scratch/engine" || return 1
      cmp -s "$scratch/kernel" "$scratch/engine" && continue 2
    done
    echo "seed $seed"
    diff "$scratch/kernel" "$scratch/engine" | head -n 20
    return 1
  done
}
export -f agree
export scratch
first=$RANDOM
build random && check "random runs, 60 seeds from $first" agree $first 60

none_stands() {
  local seed
  for ((seed = $1; seed < $1 + $2; ++seed)); do
    under "$scratch/standing" $seed || { echo "seed $seed" && return 1; }
  done
}
export -f none_stands
build standing && check "no timer stands still, 20 seeds from $first" none_stands $first 20

# The clocks.
export CHIME_PRELOAD_SPEED=60
check "60 times as fast: sleep 30" bash -c 'takes 500 10000 under sleep 30'
check "60 times as fast: timeout 30" bash -c 'takes 500 10000 exits 124 under timeout 30 sleep 600'
cat >"$scratch/clocks.py" <<'PYTHON'
import select, signal, time
start, wall = time.monotonic(), time.time()
select.select([], [], [], 3)
time.sleep(3)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.alarm(3)
signal.pause()
passed, wall = time.monotonic() - start, time.time() - wall
assert 9 <= passed, passed
assert abs(passed - wall) < 1, (passed, wall)
PYTHON
program_at_speed clocks
check "60 times as fast: Python's clocks agree" bash -c "takes 150 10000 under python3 $scratch/clocks.py"
unset CHIME_PRELOAD_SPEED
check "a chosen start" bash -c '[ "$(CHIME_PRELOAD_START=1000000000 under date -u +%Y-%m-%d)" = 2001-09-09 ]'

# The trace: one line a call.
check "a trace" bash -c 'CHIME_PRELOAD_TRACE=1 under timeout 5 true 2>&1 |
  grep -Eq "^chime\[[0-9]+\] timer_settime\([0-9]+, 0, \{5\.0{9} every 0\.0{9}\}, 0x0\) = 0$"'

# The kernel is asked for no timer.
if command -v strace >/dev/null; then
  check "no timer of the kernel's" bash -c \
    'strace -f -o "$0/strace" -E LD_PRELOAD=$library timeout 0.2 sleep 5; ! grep -E " (timer_create|timerfd_create|setitimer|alarm)\(" "$0/strace"' "$scratch"
fi
exit $failed
