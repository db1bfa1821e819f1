#!/usr/bin/env bash
# Install the real peers (DCMTK, Orthanc, dicom3tools, PostgreSQL) where that is possible; say so where not.
# Never fails: tests and demo that need an absent peer say what they miss.
set -u
missing=()
command -v storescu >/dev/null || missing+=(dcmtk)
command -v Orthanc >/dev/null || missing+=(orthanc)
command -v dciodvfy >/dev/null || missing+=(dicom3tools)
command -v ip >/dev/null || missing+=(iproute2)  # two hosts on one machine
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0
bash "$(dirname "$0")/apt.sh" "${missing[@]}" || echo "What needs ${missing[*]} is skipped."
exit 0
