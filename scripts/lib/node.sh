# Sourced by the scripts beside this folder: makes sure that the dependencies are installed and that Node 24 comes first
# in PATH, on a machine that has any Node from 20 on and npm. Sets ROOT. How and why: scripts/node/README.md.
# Messages go to stderr: what a script prints on stdout is its own.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"

rollcall_fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# rollcall_need COMMAND: ends the script with one sentence if COMMAND is not on this machine.
rollcall_need() {
  command -v "$1" >/dev/null 2>&1 || rollcall_fail "$1 is missing on this machine; install it and try again."
}

# rollcall_node_major NODE: the major version of a Node binary; 0 if it does not run here.
rollcall_node_major() {
  local version
  version="$("$1" --version 2>/dev/null)" || version=v0
  version="${version#v}"
  printf '%s' "${version%%.*}"
}

# npm writes this file last, so an installation that was cut short counts as none.
rollcall_is_installed() {
  local written="$ROOT/node_modules/.package-lock.json"
  [ -f "$written" ] && ! [ "$ROOT/package-lock.json" -nt "$written" ]
}

# One installation at a time: whoever makes the folder installs, the others wait for it. A folder whose owner has died
# (its pid is inside) is taken over.
rollcall_install() {
  local lock="$ROOT/.install-lock" owner waited=0
  until mkdir "$lock" 2>/dev/null; do
    [ -w "$ROOT" ] || rollcall_fail "cannot write to $ROOT, where the dependencies would be installed."
    owner="$(cat "$lock/pid" 2>/dev/null || true)"
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      # Renaming is atomic: of several that see a dead owner, one takes the folder away. Should it turn out to be a new
      # owner's (made between the look and the rename), it goes back.
      if mv "$lock" "$lock.$$" 2>/dev/null; then
        if [ "$(cat "$lock.$$/pid" 2>/dev/null || true)" = "$owner" ]; then rm -rf "$lock.$$"; else mv "$lock.$$" "$lock"; fi
      fi
      continue
    fi
    [ "$waited" -eq 0 ] && printf 'Waiting for another script that is installing the dependencies ...\n' >&2
    waited=$((waited + 1))
    [ "$waited" -le 3000 ] || rollcall_fail "$lock has been there for 10 minutes; if nothing is installing, remove it."
    sleep 0.2
  done
  printf '%s\n' "$$" >"$lock/pid"
  trap 'rm -rf "$ROOT/.install-lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  if ! rollcall_is_installed; then
    rollcall_need npm
    # npm would empty the folder that the link leads to, which is somebody else's.
    [ ! -L "$ROOT/node_modules" ] || rollcall_fail "node_modules is a link and does not fit package-lock.json; remove the link and try again."
    printf 'Installing the dependencies (npm ci; about half a minute, once) ...\n' >&2
    local output
    if ! output="$(cd "$ROOT" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null 2>&1)"; then
      printf '%s\n' "$output" >&2
      rollcall_fail "npm could not install the dependencies (its own words are above)."
    fi
  fi
  rm -rf "$lock"
  trap - EXIT INT TERM
}

# The pinned Node if it runs here, else the machine's own if it is new enough.
rollcall_find_node() {
  local bin="$ROOT/node_modules/.bin" binary
  # npm 11 links the binary; npm 10 installs its package and leaves the link out.
  for binary in "$bin/node" "$ROOT"/node_modules/node-{linux,darwin,bin-darwin}-*/bin/node; do
    if [ -x "$binary" ] && [ "$(rollcall_node_major "$binary")" -ge 24 ]; then
      [ "$binary" = "$bin/node" ] || ln -sf "../${binary#"$ROOT/node_modules/"}" "$bin/node"
      export PATH="$bin:$PATH"
      return
    fi
  done
  [ "$(rollcall_node_major node)" -ge 24 ] ||
    rollcall_fail "needs Node 24, and the pinned one does not run on this machine ($(uname -sm)); install Node 24 or newer and try again."
  # A pinned Node that does not run here (another C library, say) must not come first in PATH.
  rm -f "$bin/node"
  export PATH="$bin:$PATH"
}

if ! rollcall_is_installed; then
  command -v node >/dev/null 2>&1 || rollcall_fail "Node is missing on this machine; install Node 20 or newer, with npm, and try again."
  [ "$(rollcall_node_major node)" -ge 20 ] || rollcall_fail "needs Node 20 or newer, and this machine has $(node --version 2>&1); install a newer one and try again."
  rollcall_install
fi
rollcall_find_node
