#!/usr/bin/env bash
# The README's two commands on a machine made for it: a minimal system by debootstrap with this machine's Rust toolchain,
# Python 3 and make, and nothing else. By hand before a release; it takes as long as a first build and every test.
#
#   fresh.sh [COMMAND...]   default: make run with the README's first upload, then make test
#   ORIEL_FRESH_ROOT        where the system is made; default var/fresh, which must not be mounted nodev
#
# It needs Debian or a system made from it, and root. The clone is of what is committed. Everything that runs inside ends
# with it: the system has processes of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fault() { printf 'fresh.sh: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fault "needs root, for debootstrap and chroot"
tests/run.sh packages debootstrap:debootstrap unshare:util-linux git:git

root="$(realpath -m "${ORIEL_FRESH_ROOT:-var/fresh}")"
suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
apt-get -qq update >/dev/null 2>&1 || true
mirror="$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
  awk -v suite="$suite" '$1 == suite && !found { print $2; found = 1 }')"
[ -n "$mirror" ] || fault "this machine's package sources do not name $suite"
toolchain="$(rustc --print sysroot)" || fault "needs a Rust toolchain"

# What is mounted into it goes when its namespace does; the folder holds plain files alone.
rm -rf --one-file-system "$root"
mkdir -p "$root"
debootstrap --variant=minbase --include=make,python3,ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
  { tail -n 20 "$root.log" >&2; fault "debootstrap failed"; }
git clone --quiet --no-hardlinks . "$root/oriel"
mkdir -p "$root/toolchain"

# The network as this machine has it: names, certificates, the settings of pip.
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
cp --dereference /etc/hosts "$root/etc/hosts"
cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/pip.conf /etc/apt/apt.conf.d/*proxy* "${CARGO_HOME:-$HOME/.cargo}/config.toml"; do
  [ -f "$file" ] || continue
  case "$file" in
    # Cargo looks above the checkout as well.
    */config.toml) install -D -m 600 "$file" "$root/.cargo/config.toml" ;;
    *) install -D -m 644 "$file" "$root$file" ;;
  esac
done
settings=()
for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
  if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
done

# What a stranger types: the block of the README, against the service that `make run` started.
cat >"$root/first-upload.sh" <<'SCRIPT'
set -euo pipefail
cd /oriel
make run >/run.out 2>&1 &
for _ in $(seq 1800); do
  if grep -q 'http://' /run.out && python3 -c 'import socket; socket.create_connection(("127.0.0.1", 9292), 1)' 2>/dev/null; then break; fi
  kill -0 $! 2>/dev/null || { cat /run.out; exit 1; }
  sleep 1
done
cat /run.out
tests/run.sh packages curl:curl qemu-img:qemu-utils
mkdir -p /tmp/first && cd /tmp/first
awk '/^url=http/ { inside = 1 } /^```/ && inside { exit } inside' /oriel/README.md >commands
[ -s commands ]
bash -xeuo pipefail commands
echo "the README's first upload: done"
kill %1
wait %1 || true
SCRIPT

if [ "$#" -eq 0 ]; then set -- bash -c 'bash /first-upload.sh && cd /oriel && make test'; fi
inside='
root="$1"; shift
mount --bind "$1" "$root/toolchain"; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t sysfs -o ro sysfs "$root/sys" || true
exec chroot "$root" env -i HOME=/root PATH=/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "$@"
'
begun="$(date +%s)"
outcome=0
unshare --mount --pid --fork --kill-child bash -euo pipefail -c "$inside" fresh "$root" "$toolchain" \
  "${settings[@]}" "$@" </dev/null || outcome=$?
echo "fresh system: $(($(date +%s) - begun)) s, exit $outcome"
exit "$outcome"
