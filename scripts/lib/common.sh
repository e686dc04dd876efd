# What several scripts need. Sourced; expects `set -euo pipefail`.

die() {
  echo "error: $*" >&2
  exit 1
}

step() {
  echo
  echo "==> $*"
}

# A port that nobody listens on now. Somebody may take it before we do: callers try again with another one.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# wait_for_port PORT PID: until the process listens there (0), or has ended or not answered in 30 s (1).
wait_for_port() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    if ! kill -0 "$2" 2>/dev/null; then return 1; fi
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  return 1
}

# Installs Debian packages if that is possible here, without letting them start services. What is still missing
# afterwards is for the caller to complain about.
apt_install() {
  local become=()
  command -v apt-get >/dev/null || return 0
  if [[ $(id -u) != 0 ]]; then
    sudo -n true 2>/dev/null || return 0
    become=(sudo -n)
  fi
  echo "installing $* (Debian packages)" >&2
  local policy=/usr/sbin/policy-rc.d ours=""
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${become[@]}" tee "$policy" >/dev/null
    "${become[@]}" chmod +x "$policy"
    ours=yes
  fi
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' sh "$@" >&2 || true
  if [[ -n $ours ]]; then "${become[@]}" rm -f "$policy"; fi
}
