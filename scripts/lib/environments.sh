# Where the suites in other languages find their packages: in target/test-cache. Sourced, after common.sh, in the
# project's folder.
#
# python_sdks   a virtual environment with the packages that tests/sdk/python pins, and pytest
# node_packages FOLDER NAME   the packages of FOLDER/package-lock.json, under NAME

test_cache=$PWD/target/test-cache

# Runs a command unless it has done so for these files: fresh STAMP FILES… -- COMMAND…
fresh() {
  local stamp=$1 files=() sum
  shift
  while [[ $1 != -- ]]; do
    files+=("$1")
    shift
  done
  shift
  sum=$(cat "${files[@]}" | sha256sum)
  if [[ ! -f $stamp || $(<"$stamp") != "$sum" ]]; then
    "$@"
    echo "$sum" >"$stamp"
  fi
}

python_sdks() {
  mkdir -p "$test_cache"
  fresh "$test_cache/sdk-python.stamp" tests/sdk/python/requirements.txt -- make_python_sdks
}

make_python_sdks() {
  local python=${PYTHON:-python3}
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt_install python3 python3-venv
    "$python" -c 'import ensurepip, venv' 2>/dev/null || die "Python is missing: install Debian's python3 and python3-venv"
  fi
  rm -rf "$test_cache/sdk-python"
  "$python" -m venv "$test_cache/sdk-python"
  "$test_cache/sdk-python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/sdk/python/requirements.txt
}

node_packages() {
  mkdir -p "$test_cache"
  fresh "$test_cache/$2.stamp" "$1/package.json" "$1/package-lock.json" -- make_node_packages "$1" "$test_cache/$2"
}

make_node_packages() {
  if ! command -v npm >/dev/null; then
    apt_install nodejs npm
    command -v npm >/dev/null || die "npm is missing: install Debian's nodejs and npm packages"
  fi
  rm -rf "$2"
  mkdir -p "$2"
  cp "$1/package.json" "$1/package-lock.json" "$2"
  npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --loglevel=error
}
