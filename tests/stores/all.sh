#!/usr/bin/env bash
# Every store the conformance tests run against, at once.
#
#   all.sh start [NAME...]   starts them, in parallel, and lists those that came up
#   all.sh stop [NAME...]
#   all.sh env               prints KEY=VALUE lines that tell the tests of them
#
# `start` prints a line per store, `NAME: ready` or `NAME: SKIPPED: reason` or `NAME: FAILED: reason`, and writes
# $ORIEL_STORES_HOME/available, one store to a line:
#
#   NAME PROFILE ENDPOINT ACCESS_KEY SECRET_KEY REGION
#
# with single spaces, none of them inside a field. Lines with a # at the start are remarks: `# skipped NAME: reason` for a
# store this machine cannot have, `# failed NAME: reason` for one that should have come up. It exits with 1 when one
# failed; a skipped one is no fault.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export ORIEL_STORES_HOME="${ORIEL_STORES_HOME:-$(cd "$here/../.." && pwd)/var/stores}"
available="$ORIEL_STORES_HOME/available"
command="${1:-}"
shift || true
stores=("$@")
[ "${#stores[@]}" -gt 0 ] || stores=(localstack ceph seaweedfs)

field() { sed -n "s/^$1=//p" <<<"$2"; }

start() {
  local store outcome reason settings failed=0 listed output
  mkdir -p "$ORIEL_STORES_HOME"
  output="$(mktemp -d "$ORIEL_STORES_HOME/start.XXXXXX")"
  # An older list must not outlive the stores it speaks of.
  rm -f "$available"
  declare -A starter
  for store in "${stores[@]}"; do
    "$here/$store.sh" start >"$output/$store" 2>&1 &
    starter[$store]=$!
  done
  listed="$output/available"
  : >"$listed"
  for store in "${stores[@]}"; do
    outcome=0
    wait "${starter[$store]}" || outcome=$?
    # The last line a starter prints is its reason.
    reason="$(tail -n 1 "$output/$store")"
    reason="${reason#"$store: "}"
    case "$outcome" in
      0)
        settings="$("$here/$store.sh" env)"
        # Each store here has a profile of its own name.
        echo "$store $store $(field S3_ENDPOINT "$settings") $(field AWS_ACCESS_KEY_ID "$settings")" \
          "$(field AWS_SECRET_ACCESS_KEY "$settings") $(field AWS_REGION "$settings")" >>"$listed"
        echo "$store: ready"
        ;;
      77)
        echo "# skipped $store: $reason" >>"$listed"
        echo "$store: SKIPPED: $reason"
        ;;
      *)
        echo "# failed $store: $reason" >>"$listed"
        cat "$output/$store" >&2
        echo "$store: FAILED: $reason"
        failed=1
        ;;
    esac
  done
  mv "$listed" "$available"
  rm -rf "$output"
  return "$failed"
}

stop() {
  local store
  rm -f "$available"
  for store in "${stores[@]}"; do "$here/$store.sh" stop & done
  wait
}

print_env() {
  echo "ORIEL_TEST_STORES_FILE=$available"
  printf 'ORIEL_TEST_STORES="%s"\n' "$(awk '!/^#/ { printf "%s%s=%s", sep, $1, $3; sep = " " }' "$available")"
}

case "$command" in
  start) start ;;
  stop) stop ;;
  env)
    [ -f "$available" ] || { echo "all.sh: no store was started" >&2; exit 1; }
    print_env
    ;;
  *)
    echo "usage: $0 start|stop [NAME...], or $0 env" >&2
    exit 2
    ;;
esac
