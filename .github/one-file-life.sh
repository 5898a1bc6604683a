#!/bin/bash
# The whole life of a program of one file, with no Python on PATH; for Git's bash on Windows, elevated.
#   one-file-life.sh FIRST SECOND BROKEN
# are directories with a collector.exe each: a version, the next one, and one that does not start. LOADER: what runs it,
# where that is not the system itself; PLACE: where it is put.
set -euo pipefail

place="${PLACE:-$PROGRAMFILES/Prices}"
mkdir "$place"
cp "$1/collector.exe" "$place/"
mkdir "$place/second" "$place/broken"
cp "$2/collector.exe" "$place/second/"
cp "$3/collector.exe" "$place/broken/"
cd "$place"
if [[ -z "${LOADER:-}" ]]; then
    export PATH="/c/Windows/System32:/c/Windows"
    if type python 2> /dev/null; then exit 1; fi
fi

collector() {
    echo "> collector.exe $*"
    ${LOADER:-} ./collector.exe "$@"
}

collector doctor
collector install
collector start
collector status
collector pause
collector resume
collector restart

collector update second/collector.exe
[[ "$(collector info)" == *" 2.0"* ]]
collector status

# Taken back, and the one before runs.
code=0
collector update broken/collector.exe || code=$?
((code == 70))
[[ "$(collector info)" == *" 2.0"* ]]
collector status

collector stop
collector uninstall --purge --yes
# Nobody knows it any more: 3 is what `status` says of a service that never ran.
code=0
collector status || code=$?
((code == 3))
