#!/usr/bin/env bash
# Install Debian packages without starting their services; fails where that needs rights it lacks.
# usage: .ci/apt.sh PACKAGE...
set -euo pipefail
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not installed (needs root and apt-get): $*" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Debian starts Orthanc as a service on installation; the project starts its own on a free port.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null
