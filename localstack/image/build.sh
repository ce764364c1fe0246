#!/usr/bin/env bash
# Builds an image that stands in for LocalStack's own on machines that have a container engine but reach no image
# registry, from the packages of the system and of PyPI alone.
#
#   build.sh [--force]
#   LOCALSTACK_IMAGE   the tag it gets; default oriel/localstack:VERSION, the version that ../requirements.txt pins
#
# It does nothing when the tag is there, unless --force is given. It needs Debian or a system made from it, and root (or
# sudo without a password), because debootstrap does. The image has what users of the official one rely on: port 4566,
# the configuration by environment, /etc/localstack/init, /var/lib/localstack, the health address and the `Ready.` line.
#
# No container takes part in the build: on machines like these, containers often have no network, and a chroot has the
# network of the machine.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
requirements="$here/../requirements.txt"
version="$(sed -n 's/^localstack-core==//p' "$requirements")"
image="${LOCALSTACK_IMAGE:-oriel/localstack:$version}"

note() { printf 'build.sh: %s\n' "$*" >&2; }
fault() { note "$*"; exit 1; }

case "${1:-}" in
  '') if docker image inspect "$image" >/dev/null 2>&1; then echo "$image"; exit; fi ;;
  --force) ;;
  *) echo "usage: $0 [--force]" >&2; exit 2 ;;
esac

docker version >/dev/null 2>&1 || fault "no container engine answers"
command -v apt-get >/dev/null || fault "needs Debian or a system made from it"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || fault "needs root, or sudo without a password"
  as_root=(sudo -n)
fi

root="$(mktemp -d "${TMPDIR:-/tmp}/localstack-image.XXXXXX")"
log="$root.log"
# debootstrap mounts /proc inside while it works and leaves it there when it is cut off.
cleanup() {
  local outcome=$?
  "${as_root[@]}" umount "$root/proc" "$root/sys" 2>/dev/null || true
  "${as_root[@]}" rm -rf --one-file-system "$root"
  if [ "$outcome" -eq 0 ]; then rm -f "$log"; else tail -n 20 "$log" >&2; note "failed; the whole output is in $log"; fi
}
trap cleanup EXIT
: >"$log"

in_root() { "${as_root[@]}" chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

# Updated lists are needed even when debootstrap is there: they tell which of the machine's sources is its own release.
install_debootstrap() {
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends debootstrap
}

# The release is the machine's own, from the very place its own packages come from.
make_base() {
  local suite mirror
  suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
  mirror="$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == suite && !found { print $2; found = 1 }')"
  [ -n "$mirror" ] || { note "this machine's package sources do not name $suite"; return 1; }
  "${as_root[@]}" debootstrap --variant=minbase --include=python3-venv,ca-certificates,tini "$suite" "$root" "$mirror"
}

# pip runs inside with the machine's settings: its configuration file, its variables, its certificates and its resolver.
install_localstack() {
  local pip_env=(PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore) file name
  "${as_root[@]}" mkdir "$root/build"
  "${as_root[@]}" cp "$requirements" "$root/build/requirements.txt"
  for file in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/xdg/pip/pip.conf /etc/pip.conf; do
    if [ -f "$file" ]; then
      "${as_root[@]}" cp "$file" "$root/build/pip.conf"
      pip_env+=(PIP_CONFIG_FILE=/build/pip.conf)
      break
    fi
  done
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then pip_env+=("$name=${!name}"); fi
  done
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    "${as_root[@]}" cp /etc/ssl/certs/ca-certificates.crt "$root/build/ca.crt"
    pip_env+=(PIP_CERT=/build/ca.crt)
  fi
  "${as_root[@]}" cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
  # The folder the official image has its Python in.
  in_root python3 -m venv /opt/code/localstack/.venv
  in_root "${pip_env[@]}" /opt/code/localstack/.venv/bin/pip install -r /build/requirements.txt
}

finish_root() {
  "${as_root[@]}" rm -rf "$root/build" "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/etc/resolv.conf"
  "${as_root[@]}" install -D -m 755 "$here/entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
  "${as_root[@]}" mkdir -p "$root"/etc/localstack/init/{boot,start,ready,shutdown}.d "$root"/var/lib/localstack \
    "$root"/usr/lib/localstack
  # The mark by which LocalStack knows that it runs in its own image.
  echo "$version" | "${as_root[@]}" tee "$root/usr/lib/localstack/.community-version"
}

import_root() {
  local replaced
  replaced="$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)"
  "${as_root[@]}" tar -C "$root" --numeric-owner --one-file-system -c . | docker import \
    --change 'ENV PATH=/opt/code/localstack/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV PYTHONUNBUFFERED=1 LC_ALL=C.UTF-8 GATEWAY_LISTEN=0.0.0.0:4566' \
    --change 'ENV SERVICES=s3 STRICT_SERVICE_LOADING=1 EAGER_SERVICE_LOADING=1' \
    --change 'ENV DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0' \
    --change 'WORKDIR /opt/code/localstack' \
    --change 'VOLUME /var/lib/localstack' \
    --change 'EXPOSE 4566' \
    --change 'ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]' \
    - "$image"
  # With its tag gone to the new one the old image is only in the way, unless a container still runs from it.
  if [ -n "$replaced" ]; then docker image rm "$replaced" || true; fi
}

# One after the other, and not as conditions of an `if`, inside which `set -e` would be off.
step() {
  note "$1"
  "$2" >>"$log" 2>&1
}
step "installing debootstrap" install_debootstrap
step "unpacking a minimal system with Python" make_base
step "installing LocalStack $version into it" install_localstack
step "adding the entry point" finish_root
step "importing it as $image" import_root
echo "$image"
