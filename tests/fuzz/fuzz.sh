#!/bin/sh
# Runs the fuzz targets, each for some seconds, and says which functions of the extension none of them has entered.
#
#     sh tests/fuzz/fuzz.sh folder seconds
#
# The folder has the programs. Inputs that reach something new are kept in folder/corpus; one that fails is written there
# too, and named. To keep the best of the new inputs in the repository, a few of each:
#
#     build/fuzz/fuzz/fuzz_model -merge=1 tests/fuzz/corpus/model build/fuzz/fuzz/corpus/model
set -eu
folder=$1 seconds=$2
failed=0
for target in model sql options; do
  mkdir -p "$folder/corpus/$target"
  echo "fuzz_$target: $seconds s"
  "$folder/fuzz_$target" -max_total_time="$seconds" -max_len=1024 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 \
    -print_coverage=1 -artifact_prefix="$folder/corpus/" "$folder/corpus/$target" "tests/fuzz/corpus/$target" \
    >"$folder/$target.log" 2>&1 || failed=1
  if [ $failed -ne 0 ]; then tail -n 60 "$folder/$target.log"; fi
  sed -n 's/^stat::number_of_executed_units: */  inputs: /p; s/^stat::average_exec_per_sec: */  a second: /p' "$folder/$target.log"
done

# libFuzzer's list has a line a function: "UNCOVERED_FUNC: hits: 0 edges: 0/12 name file:line".
entered=$(mktemp)
trap 'rm -f "$entered"' EXIT
sed -n 's/^COVERED_FUNC: .* \([^ ]*\) [^ ]*\/ext\/\([^ ]*\):[0-9]*$/\2 \1/p' "$folder"/*.log | sort -u >"$entered"
sed -n 's/^UNCOVERED_FUNC: .* \([^ ]*\) [^ ]*\/ext\/\([^ ]*\):[0-9]*$/\2 \1/p' "$folder"/*.log | sort -u | comm -13 "$entered" - \
  >"$folder/never_entered"
echo "functions entered: $(wc -l <"$entered"), never entered: $(wc -l <"$folder/never_entered"), listed in $folder/never_entered"
exit $failed
