# PostgreSQL and Redis for the tests. Sourced by scripts/test and scripts/with-servers.
#
# servers_start  exports TEST_DATABASE_URL and TEST_REDIS_URL. Those that are set already are left as they are; for the
#                others a server of our own is started on a free port, in a temporary folder, without any durability.
# servers_stop   stops, by process id, what servers_start started. Harmless when called twice.

servers_dir=""
servers_pids=()

servers_start() {
  if [[ -z ${TEST_DATABASE_URL:-} ]]; then
    servers_require_dir
    start_postgres
  fi
  if [[ -z ${TEST_REDIS_URL:-} ]]; then
    servers_require_dir
    start_redis
  fi
}

servers_stop() {
  local pid
  for pid in "${servers_pids[@]}"; do
    # INT is PostgreSQL's fast shutdown, and ends Redis as well.
    kill -INT "$pid" 2>/dev/null || true
  done
  for pid in "${servers_pids[@]}"; do
    wait "$pid" 2>/dev/null || true
  done
  servers_pids=()
  if [[ -n $servers_dir ]]; then
    rm -rf -- "$servers_dir"
    servers_dir=""
  fi
}

servers_require_dir() {
  if [[ -z $servers_dir ]]; then
    servers_dir=$(mktemp -d "${TMPDIR:-/tmp}/llm-gateway-servers.XXXXXX")
    # PostgreSQL refuses to run as root; the user that it runs as has to get through here.
    chmod 711 "$servers_dir"
  fi
}

start_postgres() {
  local bin
  bin=$(postgres_bin) || {
    apt_install postgresql
    bin=$(postgres_bin) || die "PostgreSQL is missing: install Debian's postgresql package, or set TEST_DATABASE_URL"
  }
  local as_owner=() data=$servers_dir/postgres
  mkdir "$data"
  if [[ $(id -u) == 0 ]]; then
    local owner=nobody
    if id postgres >/dev/null 2>&1; then owner=postgres; fi
    chown "$owner" "$data"
    as_owner=(--reuid "$owner" --regid "$(id -g "$owner")" --clear-groups)
  fi
  (cd "$data" && setpriv "${as_owner[@]}" "$bin/initdb" --pgdata "$data" --username gateway --auth trust \
    --encoding UTF8 --locale C --no-sync >"$servers_dir/initdb.log" 2>&1) || {
    cat "$servers_dir/initdb.log" >&2
    die "PostgreSQL's initdb failed, its output is above"
  }
  local attempt port
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    (cd "$data" && exec setpriv --pdeathsig INT "${as_owner[@]}" "$bin/postgres" -D "$data" -p "$port" \
      -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c synchronous_commit=off \
      -c full_page_writes=off -c max_connections=400 -c shared_buffers=64MB) >"$servers_dir/postgres.log" 2>&1 &
    local pid=$!
    if wait_for_port "$port" "$pid" && postgres_answers "$bin" "$port" "$pid"; then
      servers_pids+=("$pid")
      export TEST_DATABASE_URL="postgres://gateway@127.0.0.1:$port/postgres"
      return
    fi
    kill -INT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  cat "$servers_dir/postgres.log" >&2
  die "PostgreSQL did not start in $attempt attempts, its last output is above"
}

postgres_bin() {
  local dir
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort --reverse); do
    if [[ -x $dir/postgres && -x $dir/initdb ]]; then
      echo "$dir"
      return
    fi
  done
  if command -v postgres >/dev/null && command -v initdb >/dev/null; then
    dirname "$(command -v postgres)"
    return
  fi
  return 1
}

# The port is open a moment before sessions are taken.
postgres_answers() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    if "$1/pg_isready" --quiet --host 127.0.0.1 --port "$2"; then return 0; fi
    kill -0 "$3" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

start_redis() {
  if ! command -v redis-server >/dev/null; then
    apt_install redis-server
    command -v redis-server >/dev/null || die "Redis is missing: install Debian's redis-server package, or set TEST_REDIS_URL"
  fi
  local attempt port pid
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    setpriv --pdeathsig INT redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no \
      --dir "$servers_dir" >"$servers_dir/redis.log" 2>&1 &
    pid=$!
    if wait_for_port "$port" "$pid"; then
      servers_pids+=("$pid")
      export TEST_REDIS_URL="redis://127.0.0.1:$port/"
      return
    fi
    kill -INT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  cat "$servers_dir/redis.log" >&2
  die "Redis did not start in $attempt attempts, its last output is above"
}
