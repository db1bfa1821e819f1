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

if [ ! -e "$site/index.html" ] && ! command -v npm >/dev/null; then
  echo "Skipped: npm is absent, and with it the viewer."; exit 0
fi
if ! command -v chromium >/dev/null || [ ! -e "$plugin" ]; then
  bash .ci/apt.sh chromium orthanc orthanc-dicomweb || { echo "Skipped: no browser."; exit 0; }
fi
if [ ! -e "$site/index.html" ]; then
  mkdir -p .viewer
  (cd .viewer && npm pack --silent "@ohif/app@$version" >/dev/null && tar xzf "ohif-app-$version.tgz")
fi
"$python" -c 'import playwright' 2>/dev/null ||
  "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[viewer]'

[ -z "${2:-}" ] || { mkdir -p "$2"; export PERFUSION_SCREENSHOTS=$2; }
PERFUSION_OHIF=$PWD/$site "$python" -m pytest -s tests/node/dicom_write/test_viewer.py
