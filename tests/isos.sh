#!/usr/bin/env bash
# Fetches disc images for the tests from Debian packages, without installing them: into var/isos, or the folder given.
#
# Exits with 77 where there is no apt or no such package, which is no fault: the tests then say what they skip.
set -euo pipefail

target="${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/var/isos}"
packages=(ipxe grub-rescue-pc)

skip() { echo "isos.sh: $*"; exit 77; }

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip "needs apt and dpkg"
if [ -f "$target/ipxe.iso" ] && [ -f "$target/grub-rescue-cdrom.iso" ]; then exit; fi

work="$(mktemp -d "${TMPDIR:-/tmp}/isos.XXXXXX")"
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${packages[@]}" >log 2>&1 || skip "cannot fetch ${packages[*]}: $(grep -m 1 '^E:' log || tail -n 1 log)"
for package in *.deb; do dpkg-deb -x "$package" .; done
mkdir -p "$target"
find usr -name '*.iso' -exec cp {} "$target/" \;
ls "$target"
