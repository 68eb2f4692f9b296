# Makes a checkout ready to run; sourced by start, oriel and test. Works on a fresh machine with Node and npm only.
# Sets ROOT. Everything it prints goes to stderr: stdout belongs to the program that runs afterwards.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

require_node() {
  command -v node >/dev/null 2>&1 || {
    echo "error: Node.js is missing; Oriel needs Node >= 20.19 (https://nodejs.org/en/download)" >&2
    exit 1
  }
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
           process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' || {
    echo "error: Oriel needs Node >= 20.19, found $(node --version) at $(command -v node)" >&2
    exit 1
  }
  command -v npm >/dev/null 2>&1 || { echo "error: npm is missing; it comes with Node.js" >&2; exit 1; }
}

# Installs the locked packages when they are missing or the lock file changed since. A linked node_modules belongs to
# another checkout, which keeps it up to date.
install_packages() {
  local stamp="$ROOT/node_modules/.installed-package-lock.json"
  if [ -L "$ROOT/node_modules" ] || cmp -s "$ROOT/package-lock.json" "$stamp"; then return 0; fi
  echo "installing packages (npm ci) ..." >&2
  (cd "$ROOT" && npm ci --no-audit --no-fund --loglevel=error >&2)
  cp "$ROOT/package-lock.json" "$stamp"
}

# Folders are compared too: their time changes when a file is added or removed.
build_is_fresh() {
  local stamp="$ROOT/dist/.built"
  [ -f "$stamp" ] || return 1
  [ -z "$(cd "$ROOT" && find src test bench scripts tsconfig.json package-lock.json -newer "$stamp" -print -quit)" ]
}

# Compiles when a source is newer than the last build. Two callers at once wait for each other.
build_if_stale() {
  if build_is_fresh; then return 0; fi
  echo "building ..." >&2
  mkdir -p "$ROOT/dist"
  (
    if command -v flock >/dev/null 2>&1; then flock 9; fi
    build_is_fresh || (cd "$ROOT" && node scripts/build.mjs >&2)
  ) 9>"$ROOT/dist/.lock"
}

prepare() {
  require_node
  install_packages
  build_if_stale
}
