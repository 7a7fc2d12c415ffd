#!/usr/bin/env bash
# Installs a wheel into a fresh environment in an empty folder and runs the quickstart there, twice.
#
#   packaging/try-wheel.sh WHEEL
set -euo pipefail
wheel=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")
folder=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "msgspec>=0.19"
# The wheel is whole: nothing else is fetched or built.
venv/bin/pip install --quiet --disable-pip-version-check --no-index --only-binary :all: "$wheel"

cp -r "$root/examples/quickstart/payloads" "$root/examples/quickstart/quickstart.py" .
where=$(venv/bin/python -c "import ventros; print(ventros.__file__)")
case $where in "$folder"/venv/*) ;; *) echo "not the installed package: $where" >&2; exit 1 ;; esac
[ -f "$(dirname "$where")/py.typed" ] || { echo "the wheel has no py.typed" >&2; exit 1; }
venv/bin/python quickstart.py crm.db payloads >first.txt
grep -q recorded first.txt || { cat first.txt >&2; exit 1; }
venv/bin/python quickstart.py crm.db payloads >second.txt
grep -q "Nothing new" second.txt || { cat second.txt >&2; exit 1; }
echo "$(basename "$wheel") works in an empty folder"
