# A gateway of our own, in `dev`. Sourced, after common.sh.
#
# gateway_start BINARY   exports LLM_GATEWAY_TEST_URL and LLM_GATEWAY_TEST_KEY, and for each simulated provider its address
#                        (LLM_GATEWAY_TEST_OPENAI and so on); further settings come by the environment
# gateway_stop           ends it, and fails if it did not end well. Harmless when called twice.

gateway_pid=""
gateway_dir=""

gateway_start() {
  gateway_dir=$(mktemp -d "${TMPDIR:-/tmp}/llm-gateway-dev.XXXXXX")
  : >"$gateway_dir/log"
  setpriv --pdeathsig TERM "$1" dev --port 0 --data "$gateway_dir/data" >"$gateway_dir/log" 2>&1 &
  gateway_pid=$!
  local tries url=""
  for ((tries = 0; tries < 600; tries++)); do
    url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p;T;q' "$gateway_dir/log")
    if [[ -n $url ]] || ! kill -0 "$gateway_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  if [[ -z $url ]]; then
    cat "$gateway_dir/log" >&2
    die "$1 dev did not say where it listens; what it said is above"
  fi
  export LLM_GATEWAY_TEST_URL=$url
  local provider address
  while read -r provider address; do
    export "LLM_GATEWAY_TEST_${provider^^}=$address"
  done < <(sed -n 's#^simulated \([a-z]*\) at \(http://[^/]*\).*#\1 \2#p' "$gateway_dir/log")
  export LLM_GATEWAY_TEST_KEY=phx_dev_local_test_api_key_1234567890abcdef
}

gateway_stop() {
  local status=0
  if [[ -n $gateway_pid ]]; then
    kill -TERM "$gateway_pid" 2>/dev/null || true
    wait "$gateway_pid" || status=$?
    gateway_pid=""
    if ((status != 0)); then
      cat "$gateway_dir/log" >&2
      echo "error: the gateway ended with status $status; its log is above" >&2
    fi
  fi
  if [[ -n $gateway_dir ]]; then
    rm -rf -- "$gateway_dir"
    gateway_dir=""
  fi
  return "$status"
}

# The binary that a build of this profile (debug, release) leaves.
gateway_binary() {
  local target
  target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  echo "$target/$1/llm-gateway"
}
