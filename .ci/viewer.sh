#!/usr/bin/env bash
# What a radiologist sees: OHIF on Orthanc's DICOMweb in headless Chromium, asserted pixel by pixel.
# Fetches what it needs where that is possible (root and apt-get, npm, pip); says so where not.
# usage: .ci/viewer.sh PYTHON [SCREENSHOT_FOLDER]
set -euo pipefail
python=$1
cd "$(dirname "$0")/.."
site=.viewer/package/dist
version=3.13.2
plugin=/usr/share/orthanc/plugins/libOrthancDicomWeb.so

if ! command -v chromium >/dev/null || [ ! -e "$plugin" ]; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Skipped: chromium and orthanc-dicomweb are absent and need root and apt-get."; exit 0
  fi
  export DEBIAN_FRONTEND=noninteractive
  # Debian starts Orthanc as a service on installation; the tests start their own.
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium orthanc orthanc-dicomweb >/dev/null
fi
if [ ! -e "$site/index.html" ]; then
  if ! command -v npm >/dev/null; then
    echo "Skipped: npm is absent, and with it the viewer."; exit 0
  fi
  mkdir -p .viewer
  (cd .viewer && npm pack --silent "@ohif/app@$version" >/dev/null && tar xzf "ohif-app-$version.tgz")
fi
"$python" -c 'import playwright' 2>/dev/null ||
  "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[viewer]'

[ -z "${2:-}" ] || { mkdir -p "$2"; export PERFUSION_SCREENSHOTS=$2; }
PERFUSION_OHIF=$PWD/$site "$python" -m pytest -s tests/node/dicom_write/test_viewer.py
