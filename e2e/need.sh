#!/usr/bin/env bash
# need.sh PACKAGE[=COMMAND] ...: installs the Debian packages that are missing. Where COMMAND is there, whoever brought it, nothing is.
set -euo pipefail

missing=()
for want in "$@"; do
  package=${want%%=*}
  if [ "$want" != "$package" ] && command -v "${want#*=}" >/dev/null; then
    continue
  elif ! command -v dpkg-query >/dev/null; then
    [ "$want" = "$package" ] || missing+=("$package") # without dpkg only commands can be looked for
  elif ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
    missing+=("$package")
  fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "missing, and there is no apt-get to install it with: ${missing[*]} (Debian's names)" >&2
  exit 1
elif [ "$(id -u)" != 0 ]; then
  echo "missing packages; as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
