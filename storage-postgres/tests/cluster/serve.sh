#!/bin/sh
# A private PostgreSQL for the tests and examples of all languages: listens in a temporary folder alone, prints its address, and
# is gone with everything in it when its input ends, however the program that started it came to its end.
#
# `stop` on the input ends the server as the loss of its process would, `start` starts it again; the answer is the word itself.
# With VENTROS_TEST_POSTGRES, an address, that server is used and left alone.
set -eu

if [ -n "${VENTROS_TEST_POSTGRES:-}" ]; then
	echo "$VENTROS_TEST_POSTGRES"
	exec cat >/dev/null
fi

bin=${VENTROS_POSTGRES_BIN:-}
if [ -z "$bin" ]; then
	for found in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V); do
		[ -x "$found/initdb" ] && bin=$found
	done
fi
if [ -z "$bin" ]; then
	echo "this needs a PostgreSQL server: install the package postgresql, or set VENTROS_POSTGRES_BIN to the folder of its" \
		"programs, or VENTROS_TEST_POSTGRES to the address of a running one" >&2
	exit 1
fi

home=$(mktemp -d "${TMPDIR:-/tmp}/ventros-pg-XXXXXX")
cd "$home"
# The server refuses to be root.
as=
if [ "$(id -u)" = 0 ]; then
	as="runuser -u postgres --"
	chown postgres "$home"
fi

# A program of PostgreSQL, which says something only when it fails. It inherits nothing that the program at the other end waits for.
run() {
	LC_ALL=C $as "$bin/$@" </dev/null >"$home/said" 2>&1 || { cat "$home/said" >&2; return 1; }
}

# Without fsync it forgets everything in a loss of power, and only then.
start() {
	settings="-c listen_addresses= -c unix_socket_directories=$home -c fsync=off -c max_connections=200 -c shared_buffers=64MB"
	run pg_ctl start -w -D "$home/data" -l "$home/log" -o "$settings"
}

stop() {
	run pg_ctl stop -w -m immediate -D "$home/data"
}

end() {
	[ ! -f "$home/data/postmaster.pid" ] || stop || true
	rm -rf "$home"
}

# What is typed at a terminal is for the other programs there.
trap '' INT TERM HUP
trap end EXIT

run initdb -A trust -E UTF8 --locale=C -U postgres --no-sync -D "$home/data"
start
# No superuser, so that row security holds it.
role="CREATE ROLE ventros_app LOGIN; GRANT CREATE ON DATABASE postgres TO ventros_app"
run psql -q -h "$home" -U postgres -c "$role" postgres
echo "postgresql://ventros_app@$(echo "$home" | sed 's|/|%2F|g')/postgres"

while read -r word; do
	case $word in
	stop | start) "$word"; echo "$word" ;;
	*) echo "unknown: $word" >&2 ;;
	esac
done
