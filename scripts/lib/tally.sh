# Runs suites and adds up what their own runners say. Sourced by scripts/test, after common.sh.
#
#   suite NAME READER COMMAND…   runs COMMAND, and reads its output with READER, which prints "PASSED FAILED"
#   check NAME COMMAND…          runs a COMMAND that has no tests to count
#   tally_report                 names what went wrong; its last line is the sum of all suites
#
# A check that fails, and a suite that breaks without its runner having told of a failed test, or that ran no test at
# all, count as one failure.

tally_passed=0
tally_failed=0
tally_broken=()

check() {
  local name=$1
  shift
  step "$name"
  if ! "$@"; then
    tally_failed=$((tally_failed + 1))
    tally_broken+=("$name")
  fi
}

suite() {
  local name=$1 reader=$2 log status=0 passed failed
  shift 2
  step "$name"
  log=$(mktemp)
  "$@" 2>&1 | tee "$log" || status=$?
  read -r passed failed < <("$reader" "$log")
  rm -f "$log"
  if ((status != 0 && failed == 0)); then
    echo "error: $name ended with status $status, and no test of it was reported as failed" >&2
    failed=1
  elif ((passed + failed == 0)); then
    echo "error: $name ran no test" >&2
    failed=1
  fi
  tally_passed=$((tally_passed + passed))
  tally_failed=$((tally_failed + failed))
  if ((failed > 0)); then tally_broken+=("$name ($failed)"); fi
}

tally_report() {
  echo
  local name
  for name in "${tally_broken[@]}"; do
    echo "failed: $name"
  done
  echo "$tally_passed passed, $tally_failed failed"
  ((tally_failed == 0))
}

# test result: ok. 12 passed; 0 failed; 0 ignored; … An ignored test is a silent skip, and counts as a failure.
read_cargo() {
  awk '/^test result: / { passed += $4; failed += $6 + $8 } END { print passed + 0, failed + 0 }' "$1"
}

# 12 passed, 1 failed, 1 error in 3.21s (with or without a frame of equals signs)
read_pytest() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    / in [0-9.]+s/ && /[0-9] (passed|failed|error)/ {
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^(failed|errors?)(,|$)/) failed += $(i - 1)
      }
    }
    END { print passed + 0, failed + 0 }'
}

# "# pass 12" and "# fail 1" of the TAP reporter
read_node() {
  awk '/^# pass / { passed += $3 } /^# (fail|cancelled) / { failed += $3 } END { print passed + 0, failed + 0 }' "$1"
}

# "PASS sse" and "FAIL answer"
read_fuzz() {
  awk '/^PASS / { passed += 1 } /^FAIL / { failed += 1 } END { print passed + 0, failed + 0 }' "$1"
}
