#!/usr/bin/env bash
# Installs an npm package into an empty folder and runs the quickstart there, twice.
#
#   packaging/try-npm.sh TARBALL
set -euo pipefail
tarball=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")
tools=$root/bindings/node/node_modules
folder=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

echo '{ "private": true, "type": "module" }' >package.json
# The package is whole: nothing else is fetched or built.
npm install --silent --offline --no-audit --no-fund "$tarball"
[ ! -e node_modules/ventros/src ] || { echo "the package carries more than what is built" >&2; exit 1; }

cp -r "$root/examples/quickstart/payloads" "$root/examples/quickstart/quickstart.ts" .
flags=(--strict --module nodenext --target es2022 --lib es2023,esnext.disposable)
"$tools/.bin/tsc" "${flags[@]}" --typeRoots "$tools/@types" --types node quickstart.ts
where=$(node -p 'require.resolve("ventros")')
case $where in "$folder"/node_modules/*) ;; *) echo "not the installed package: $where" >&2; exit 1 ;; esac
node quickstart.js crm.db payloads >first.txt
grep -q recorded first.txt || { cat first.txt >&2; exit 1; }
node quickstart.js crm.db payloads >second.txt
grep -q "Nothing new" second.txt || { cat second.txt >&2; exit 1; }
echo "$(basename "$tarball") works in an empty folder"
