# What load scripts need: wrk, and nginx as a provider, a proxy or a sink. Sourced, after common.sh; expects a folder in $dir.
#
#   load_install                  installs what is missing
#   start_nginx NAME SERVER       runs one with this server block, @PORT@ filled in; sets started_port
#   start_provider                the same that answers every call with one short completion
#   load_stop                     ends them all
#   cpu_ticks PID                 clock ticks that a process and its children have used

nginx_pids=()

load_install() {
  command -v wrk >/dev/null || apt_install wrk
  command -v wrk >/dev/null || die "wrk is missing: install Debian's wrk package"
  command -v nginx >/dev/null || apt_install nginx-light
  command -v nginx >/dev/null || die "nginx is missing: install Debian's nginx-light package"
}

load_stop() {
  local pid
  for pid in "${nginx_pids[@]}"; do
    kill -QUIT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  nginx_pids=()
}

start_nginx() {
  local name=$1 server=$2 attempt pid
  for attempt in 1 2 3 4 5; do
    started_port=$(free_port)
    mkdir -p "$dir/$name"
    cat >"$dir/$name/nginx.conf" <<CONF
daemon off;
worker_processes auto;
pid $dir/$name/pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  client_body_temp_path $dir/$name/body;
  proxy_temp_path $dir/$name/proxy;
  fastcgi_temp_path $dir/$name/fastcgi;
  uwsgi_temp_path $dir/$name/uwsgi;
  scgi_temp_path $dir/$name/scgi;
  ${server//@PORT@/$started_port}
}
CONF
    nginx -c "$dir/$name/nginx.conf" -p "$dir/$name" 2>"$dir/$name/log" &
    pid=$!
    if wait_for_port "$started_port" "$pid"; then
      nginx_pids+=("$pid")
      return
    fi
    kill -QUIT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  cat "$dir/$name/log" >&2
  die "nginx ($name) did not start in $attempt attempts; its last output is above"
}

cpu_ticks() {
  local pid total=0
  for pid in "$1" $(pgrep -P "$1"); do
    total=$((total + $(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")))
  done
  echo "$total"
}

start_provider() {
  start_nginx upstream 'server {
    listen 127.0.0.1:@PORT@ backlog=4096;
    location / {
      default_type application/json;
      return 200 "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1750000000,\"model\":\"gpt-4.1-mini-2025-04-14\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! How can I help you today?\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":10,\"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\"}";
    }
  }'
}
