# Sourced by the scripts of this folder: the repository's root, and a Go that
# can build it. Nothing here installs anything.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# Services and minimal containers run without HOME, and Go keeps its caches there.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6) || true
  export HOME="${HOME:-$root/.cache/home}"
fi

# go_minor FILE: 21 for a Go 1.21, 0 where it does not run.
go_minor() {
  local v
  v=$("$1" version 2>/dev/null) || { echo 0; return; }
  v=${v#go version go1.}
  v=${v%%[!0-9]*}
  echo "${v:-0}"
}

# find_go puts the first Go from 1.21 on (the first that fetches the version
# go.mod asks for) on the path, looking also where shells are not told to look.
find_go() {
  local dir
  local -a dirs
  IFS=: read -ra dirs <<<"$PATH"
  for dir in "${dirs[@]}" /usr/local/go/bin "$HOME/go/bin" "$HOME/sdk"/go1.*/bin \
    /usr/lib/go-1.*/bin /usr/lib/go/bin /snap/bin /opt/homebrew/bin /usr/local/bin; do
    if [ -x "$dir/go" ] && [ "$(GOTOOLCHAIN=local go_minor "$dir/go")" -ge 21 ]; then
      case ":$PATH:" in
        "$dir":* | ":$dir":*) ;;
        *) PATH="$dir:$PATH" ;;
      esac
      choose_toolchain "$(GOTOOLCHAIN=local go_minor "$dir/go")"
      return 0
    fi
  done
  return 1
}

# choose_toolchain MINOR: a Go older than go.mod's is told to fetch exactly that
# one. Left to choose (auto) it fetches a second one for tools outside go.mod.
choose_toolchain() {
  local want
  want=$(sed -n 's/^go \(1\.[0-9]*\.[0-9]*\)$/\1/p' "$root/go.mod")
  [ -n "$want" ] || die "go.mod names no full Go version, as 1.26.0"
  local minor=${want#1.}
  if [ "$1" -lt "${minor%%.*}" ]; then export GOTOOLCHAIN=go$want; fi
}

# go_environment is what every Go command of these scripts runs under.
go_environment() {
  find_go || die "no Go from 1.21 on; run build/setup"
  export PATH CGO_ENABLED=1
  # A clone that belongs to another user makes git, and so a stamped build, fail.
  # x11: the window runs on X11 and, through XWayland, on Wayland. Natively there GLFW takes no Chinese input.
  export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false -tags=x11"
  if [ "$(uname)" = Darwin ] && command -v brew >/dev/null; then
    export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -I$(brew --prefix)/include"
  fi
}
