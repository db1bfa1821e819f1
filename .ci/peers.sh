#!/usr/bin/env bash
# Install the real peers (DCMTK, Orthanc, dicom3tools) where that is possible; say so where not.
# Never fails: tests and demo that need an absent peer say what they miss.
set -u
missing=()
command -v storescu >/dev/null || missing+=(dcmtk)
command -v Orthanc >/dev/null || missing+=(orthanc)
command -v dciodvfy >/dev/null || missing+=(dicom3tools)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not installed (needs root and apt-get): ${missing[*]}; what needs them is skipped."
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# Debian starts Orthanc as a service on installation; the project starts its own on a free port.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=1; }
apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  echo "Could not install ${missing[*]}; what needs them is skipped."
[ -n "${made:-}" ] && rm -f "$policy"
exit 0
