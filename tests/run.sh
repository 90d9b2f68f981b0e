#!/bin/sh
# Runs all tests, whatever fails, and prints the totals: 'N passed, N failed, N skipped' alone on the last line.
#
#     sh tests/run.sh program…        C tests: each prints "N passed, N failed" as its last line
#
# From the environment: RECOMMEND_EXTENSION, the extension without its suffix; PYTHON, which runs tests/sql (empty: they
# are left out); PYTHON_PRELOAD, a library to put in front of it (a sanitizer's); TIME_LIMIT, seconds for each program,
# which only one that hangs should reach, on however busy a machine.
passed=0 failed=0 skipped=0
log=$(mktemp)
logs=$(mktemp -d)
trap 'rm -rf "$log" "$logs"' EXIT

limited=
command -v timeout >/dev/null && limited="timeout ${TIME_LIMIT:-900}"

# count NAME PASSED FAILED SKIPPED: adds to the totals; the output is shown where something failed.
count() {
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  if [ "$3" -gt 0 ]; then tail -n 100 "$log"; fi
  printf '%-44s %7d passed %4d failed %4d skipped\n' "$1" "$2" "$3" "$4"
}

# The extension exports its entry point and nothing else.
library=$(ls "$RECOMMEND_EXTENSION".so "$RECOMMEND_EXTENSION".dylib 2>/dev/null | head -n 1)
case $library in
  *.dylib) nm -gU "$library" ;;
  ?*) nm -D --defined-only "$library" ;;
esac | awk '{ print $NF }' >"$log" 2>&1
if [ "$(sed 's/^_//' "$log")" = sqlite3_recommend_init ]; then count 'exported symbols' 1 0 0; else count 'exported symbols' 0 1 0; fi

files=
if [ -n "$PYTHON" ]; then files=$(ls tests/sql/test_*.py 2>/dev/null); fi
preload=
if [ -n "$PYTHON_PRELOAD" ]; then preload="env LD_PRELOAD=$PYTHON_PRELOAD ASAN_OPTIONS=detect_leaks=0"; fi

# All of them, as many at a time as there are processors. The longest go first, so that none is left to run alone at the
# end: the fault tests, then Python, then the small ones. NumPy brings a BLAS of its own, whose threads would compete
# with ours, and which ThreadSanitizer knows nothing of.
{
  printf '%s\n' "$@" | grep /fault/
  printf '%s\n' $files
  printf '%s\n' "$@" | grep -v /fault/
} | grep . | LIMITED=$limited PRELOAD=$preload LOGS=$logs xargs -P "$(getconf _NPROCESSORS_ONLN)" -I TEST sh -c '
  log=$LOGS/$(echo TEST | tr / _)
  case TEST in
    *.py) OPENBLAS_NUM_THREADS=1 $LIMITED $PRELOAD "$PYTHON" -B -m unittest discover -s tests/sql -p "$(basename TEST)" ;;
    *) $LIMITED TEST ;;
  esac >"$log" 2>&1
  echo $? >"$log.code"'

# Then their logs, in order.
for program in "$@"; do
  if [ ! -x "$program" ]; then
    echo "$program was not built" >"$log"
    count "$program" 0 1 0
    continue
  fi
  cat "$logs/$(echo "$program" | tr / _)" >"$log"
  code=$(cat "$logs/$(echo "$program" | tr / _).code")
  totals=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
  good=$(echo "$totals" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
  bad=$(echo "$totals" | sed -n 's/.*, \([0-9]*\) failed.*/\1/p')
  # A crash, a sanitizer's report or a missing last line is a failure even where every check held.
  if [ "${bad:-0}" -eq 0 ] && { [ "${code:-1}" -ne 0 ] || [ -z "$totals" ]; }; then
    if [ "$code" = 124 ]; then echo "$program reached its limit: $limited" >>"$log"; fi
    echo "$program ended with code $code" >>"$log"
    bad=1
  fi
  count "$program" "${good:-0}" "${bad:-0}" 0
done

# unittest ends with "Ran 12 tests in 0.1s" and "FAILED (failures=1, errors=2, skipped=3)" or "OK (skipped=3)".
number() { echo "$(sed -n -e '/^OK/p' -e '/^FAILED/p' "$log" | sed -n "s/.*[( ]$1=\([0-9]*\).*/\1/p")" 0 | awk '{ print $1 }'; }
for file in $files; do
  cat "$logs/$(echo "$file" | tr / _)" >"$log"
  code=$(cat "$logs/$(echo "$file" | tr / _).code")
  ran=$(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' "$log" | tail -n 1)
  left=$(number skipped)
  bad=$(($(number failures) + $(number errors) + $(number 'unexpected successes')))
  if [ $bad -eq 0 ] && [ "${code:-1}" -ne 0 ]; then bad=1; fi
  good=$((${ran:-0} - bad - ${left:-0}))
  [ $good -ge 0 ] || good=0
  count "$file" $good $bad "${left:-0}"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
