#!/usr/bin/env bash
# Ceph's Object Gateway over a cluster of one: a monitor, an OSD and radosgw, from the system's packages. The daemons
# are started by hand and run as the calling user; the machine's own Ceph, should it have one, is not touched.
#
#   ceph.sh install|start|stop|env|status|wipe
#   ORIEL_CEPH_PORT   default 18480; it and the 29 after it are used
#
# The OSD keeps its objects in BlueStore, in a sparse file. The other choice, memstore, starts a few seconds sooner but
# holds every stored byte in memory (2 GiB after one 1 GiB image), takes uploads at half the speed and forgets them at a
# stop. BlueStore stays below 500 MiB whatever is stored, which a small machine that also compiles needs more.
set -euo pipefail
STORE=ceph
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PORT="${ORIEL_CEPH_PORT:-$((18480 + PORT_OFFSET))}"
MON_PORT=$((PORT + 1))
PORTS=("$PORT" "$MON_PORT")
CAPACITY_BYTES=$((16 << 30)) # the file grows only as it is written
CONF="$DATA/ceph.conf"

store_processes() { echo mon osd radosgw; }
store_settings() { echo "port $PORT bluestore $CAPACITY_BYTES"; }

store_install() {
  local program
  for program in ceph ceph-authtool ceph-mon ceph-osd monmaptool radosgw radosgw-admin; do
    if ! command -v "$program" >/dev/null; then
      apt_install ceph-common ceph-mon ceph-osd radosgw
      return
    fi
  done
}

# Written at every start, so that a cluster taken up again heeds what has changed here.
write_conf() {
  cat >"$CONF" <<CONF
[global]
fsid = $(cat "$DATA/fsid")
mon host = [v2:127.0.0.1:$MON_PORT]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = $((PORT + 2))
ms bind port max = $((PORT + 29))
keyring = $DATA/keyring
crash dir = $DATA/crash
# The path of a socket may have 107 bytes, which a checkout deep in a tree exceeds; nothing here asks over it.
admin socket =
log file = $LOG/\$name.log
mon cluster log file = $LOG/cluster.log
log to stderr = false
err to stderr = true
auth allow insecure global id reclaim = false

# A single copy on a single OSD.
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon max pg per osd = 2000

# The disk of a test machine is often nearly full; the defaults would refuse to work from 5 % free space on.
mon data avail warn = 1
mon data avail crit = 1
mon osd nearfull ratio = .97
mon osd backfillfull ratio = .98
mon osd full ratio = .99
osd failsafe full ratio = .995

[mon.a]
mon data = $DATA/mon

[osd.0]
osd data = $DATA/osd
osd objectstore = bluestore
osd memory target = 1073741824
# A gateway that was killed is still waited for in every change to a bucket until its watch has run out, by default for
# half a minute.
osd client watch timeout = 10
bluestore block size = $CAPACITY_BYTES

[client.rgw.a]
rgw data = $DATA/rgw
rgw frontends = beast endpoint=127.0.0.1:$PORT
rgw dns name = 127.0.0.1
rgw thread pool size = 64
# Deleted bytes are given back within half a minute instead of hours.
rgw gc obj min wait = 5
rgw gc processor period = 30
CONF
}

# Joined by && for the caller's `||`, inside which `set -e` is off.
make_cluster() {
  local keyring="$DATA/keyring"
  # All keys go in with the monitor's first keyring, which saves an import for each.
  rm -rf "$DATA" &&
    mkdir -p "$DATA"/{mon,osd,rgw,crash} &&
    cat /proc/sys/kernel/random/uuid >"$DATA/fsid" &&
    write_conf &&
    ceph-authtool --create-keyring "$keyring" --gen-key -n mon. --cap mon 'allow *' &&
    ceph-authtool "$keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' &&
    ceph-authtool "$keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' &&
    ceph-authtool "$keyring" --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx' &&
    monmaptool --create --addv a "[v2:127.0.0.1:$MON_PORT]" --fsid "$(cat "$DATA/fsid")" "$DATA/monmap" &&
    ceph-mon -c "$CONF" --mkfs -i a --monmap "$DATA/monmap" --keyring "$keyring"
}

# The OSD must be made with the very identity the monitor was told, or the monitor ignores it for ever.
make_osd() {
  local uuid
  uuid="$(cat /proc/sys/kernel/random/uuid)"
  ceph -c "$CONF" --connect-timeout 60 osd new "$uuid" 0 &&
    ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid"
}

osd_is_up() { ceph -c "$CONF" --connect-timeout 20 osd stat 2>/dev/null | grep -q '1 up'; }

store_start() {
  local is_new=false
  # A cluster is taken up again only if it was made to the end and with these ports, which it holds inside.
  if [ "$(cat "$DATA/made" 2>/dev/null)" != "$(store_settings)" ]; then
    is_new=true
    make_cluster >"$LOG/make.log" 2>&1 || fault "making the cluster failed; the output is in $LOG/make.log"
  else
    write_conf
  fi
  spawn mon ceph-mon -c "$CONF" -f -i a
  wait_for mon 60 is_open "$MON_PORT"
  if "$is_new"; then
    make_osd >>"$LOG/make.log" 2>&1 || fault "making the OSD failed; the output is in $LOG/make.log"
  fi
  spawn osd ceph-osd -c "$CONF" -f -i 0
  wait_for osd 90 osd_is_up
  spawn radosgw radosgw -c "$CONF" -f -n client.rgw.a
  wait_for radosgw 120 answers "$PORT" / '^HTTP/1.. 200'
  if "$is_new"; then
    radosgw-admin -c "$CONF" user create --uid=oriel --display-name=oriel \
      --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY" >>"$LOG/make.log" 2>&1 ||
      fault "making the user failed; the output is in $LOG/make.log"
    store_settings >"$DATA/made"
  fi
}

store_stop() {
  halt radosgw 10
  halt osd 20
  halt mon 10
}

store_env() { print_env "http://127.0.0.1:$PORT" "$ACCESS_KEY" "$SECRET_KEY"; }

store_main "$@"
