#!/usr/bin/env bash
# Requests per second for one record, GET /v2/images/{image_id}, by wrk with one and with two threads, beside a static file of
# the same bytes from nginx in the same rounds. Writes a Markdown table to standard output.
#
#   benches/records.sh [ROUNDS] [SECONDS]      5 rounds of 5 seconds
#
# Needs wrk and nginx (apt-get install wrk nginx-light), and the release build. Both servers get the same two cores as wrk: the
# figures compare servers on one busy machine and are no capacity plan. ORIEL_BENCH_KEYSTONE, a file with a [keystone] table and
# a line `# token: TOKEN`, adds rows for callers known by Keystone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds="${1:-5}"
seconds="${2:-5}"
oriel="${CARGO_TARGET_DIR:-target}/release/oriel"
connections=32
tests/run.sh packages wrk:wrk nginx:nginx-light curl:curl
[ -x "$oriel" ] || { echo "$oriel is not there: cargo build --release" >&2; exit 1; }

dir="$(mktemp -d)"
# For the workers of nginx, which run as another user.
chmod 755 "$dir"
pids=()
clean() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap clean EXIT

# serve NAME TEXT: starts Oriel with this much of a configuration, and sets `url`.
serve() {
  mkdir -p "$dir/$1"
  cat >"$dir/$1/oriel.toml" <<TOML
$2
[server]
listen = "127.0.0.1:0"
[metrics]
listen = "off"
[log]
level = "warn"
[catalog]
path = "$dir/$1/catalog.sqlite"
[embedded]
data_dir = "$dir/$1/store"
[store.main]
endpoint = "embedded"
TOML
  "$oriel" serve --config "$dir/$1/oriel.toml" 2>"$dir/$1/log" &
  pids+=($!)
  url=
  for _ in $(seq 100); do
    port="$(ss -Hltnp 2>/dev/null | grep "pid=${pids[-1]}," | awk '{print $4}' | sed 's/.*://' | sort -n | while read -r p; do
      if curl -fsS -o /dev/null "http://127.0.0.1:$p/versions" 2>/dev/null; then echo "$p"; break; fi; done || true)"
    if [ -n "$port" ]; then url="http://127.0.0.1:$port"; return; fi
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$dir/$1/log" >&2
  echo "$1: does not start" >&2
  exit 1
}

# image URL [TOKEN]: the path of a record with a dozen properties.
image() {
  curl -fsS "$1/v2/images" -H "X-Auth-Token: ${2:-}" -d '{"name": "bench", "disk_format": "raw", "container_format": "bare",
    "hw_disk_bus": "virtio", "hw_vif_model": "virtio", "os_distro": "debian", "os_version": "12", "architecture": "x86_64",
    "hw_machine_type": "q35", "hw_rng_model": "virtio", "tags": ["a", "b"]}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["self"])'
}

ways=()
targets=()
tokens=()
way() { ways+=("$1"); targets+=("$2"); tokens+=("${3:-}"); }

serve none 'auth = "none"'
path="$(image "$url")"
way 'Oriel, auth none' "$url$path"
curl -fsS "$url$path" >"$dir/record.json"

token="$(python3 -c 'import secrets; print(secrets.token_hex(32))')"
printf '[[token]]\nname = "b"\nsha256 = "%s"\nuser_id = "b"\nproject_id = "b"\nroles = ["member"]\n' \
  "$(printf %s "$token" | sha256sum | cut -d' ' -f1)" >"$dir/tokens.toml"
serve tokens "auth = \"tokens\"
[tokens]
file = \"$dir/tokens.toml\""
way 'Oriel, auth tokens' "$url$(image "$url" "$token")" "$token"

if [ -n "${ORIEL_BENCH_KEYSTONE:-}" ]; then
  token="$(sed -n 's/^# token: //p' "$ORIEL_BENCH_KEYSTONE")"
  serve keystone "auth = \"keystone\"
$(cat "$ORIEL_BENCH_KEYSTONE")"
  way 'Oriel, auth keystone, token cached' "$url$(image "$url" "$token")" "$token"
fi

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
cat >"$dir/nginx.conf" <<NGINX
worker_processes 2;
daemon off;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
events { worker_connections 256; }
http {
  access_log off;
  default_type application/json;
  open_file_cache max=16;
  keepalive_requests 1000000000;
  server { listen 127.0.0.1:$port; root $dir; }
}
NGINX
nginx -c "$dir/nginx.conf" 2>>"$dir/nginx.log" &
pids+=($!)
for _ in $(seq 100); do curl -fsS -o /dev/null "http://127.0.0.1:$port/record.json" 2>/dev/null && break; sleep 0.1; done
way 'nginx, the same bytes as a file' "http://127.0.0.1:$port/record.json"

for round in $(seq "$rounds"); do
  for threads in 1 2; do
    for n in "${!ways[@]}"; do
      wrk -t"$threads" -c"$connections" -d"${seconds}s" --latency -H "X-Auth-Token: ${tokens[$n]}" "${targets[$n]}" >"$dir/wrk"
      if grep -q 'Non-2xx' "$dir/wrk"; then cat "$dir/wrk" >&2; exit 1; fi
      rate="$(sed -nE 's/^Requests\/sec: +([0-9.]+)/\1/p' "$dir/wrk")"
      p99="$(sed -nE 's/^ +99% +([0-9.]+[a-z]+)/\1/p' "$dir/wrk")"
      printf '%s|%s|%s|%s\n' "${ways[$n]}" "$threads" "$rate" "$p99" >>"$dir/results"
      echo "round $round: ${ways[$n]}, $threads: $rate/s, p99 $p99" >&2
    done
  done
done

python3 - "$dir/results" "$(wc -c <"$dir/record.json")" "$connections" <<'PY'
import re, statistics, sys
rows = {}
for line in open(sys.argv[1]):
    way, threads, rate, p99 = line.strip().split("|")
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", p99).groups()
    rows.setdefault((way, int(threads)), []).append((float(rate), float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]))
none = {threads: [rate for rate, _ in found] for (way, threads), found in rows.items() if way == "Oriel, auth none"}
print(f"A record of {sys.argv[2]} bytes, {sys.argv[3]} connections; medians of {len(next(iter(rows.values())))} interleaved rounds (least to most).\n")
print("| server | wrk threads | requests/s | p99 ms | relative to auth none, round by round |\n| --- | --- | --- | --- | --- |")
for (way, threads), found in sorted(rows.items(), key=lambda item: item[0][1]):
    rates, p99s = [rate for rate, _ in found], [p99 for _, p99 in found]
    ratio = statistics.median(rate / base for rate, base in zip(rates, none[threads]))
    print(f"| {way} | {threads} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {statistics.median(p99s):.2f} | {ratio:.2f} |")
PY
