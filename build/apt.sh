# Sourced by build/setup on systems with apt: installs the packages of needs.
# shellcheck shell=bash

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# apt_get ARGS…: apt-get, waiting for another one to finish and trying again after
# what may pass (a busy lock, a mirror in the middle of its update).
apt_get() {
  local try
  for try in 1 2 3 4; do
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1 && return 0
    [ "$try" = 4 ] || sleep $((5 * try))
  done
  cat "$log" >&2
  return 1
}

# candidate PACKAGE: the version apt would install, "" if none.
candidate() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -vx '(none)' || true
}

apt_install_needs() {
  local need
  local -a packages=() newer=()
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "missing: $*. Installing needs root and there is no sudo: run build/setup as root once"
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  say "installing: $*"
  # One repository of many that fails is no reason to stop: the installation shows.
  apt_get update || say "apt-get update failed (its output is above); going on with the lists that are there"
  for need in "$@"; do
    case $need in
      go) choose_go ;;
      compiler) packages+=(gcc) ;;
      libc) packages+=(libc6-dev) ;;
      git) packages+=(git) ;;
      certificates) packages+=(ca-certificates) ;;
      window) packages+=(pkg-config libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev libgl-dev libgl1-mesa-dri) ;;
      display) packages+=(xvfb xdotool evilwm) ;;
      headers) packages+=(libvulkan-dev) ;;
      loader) packages+=(libvulkan1) ;;
      driver) choose_driver ;;
      validation) packages+=(vulkan-validationlayers) ;;
      spirv-tools) packages+=(spirv-tools) ;;
    esac
  done
  if ! $run_only; then
    if ! have_glslc && [ -n "$(candidate glslc)" ]; then packages+=(glslc); fi
    if ! have_compilers && [ -n "$(candidate mesa-drm-shim)" ]; then packages+=(mesa-drm-shim); fi
  fi
  if [ ${#packages[@]} -gt 0 ]; then
    apt_get install --no-install-recommends "${packages[@]}" || die "apt-get could not install ${packages[*]}; the output above says why"
  fi
  if [ ${#newer[@]} -gt 0 ]; then
    apt_get install --no-install-recommends -t "$backports" "${newer[@]}" ||
      die "apt-get could not install ${newer[*]} from $backports; the output above says why"
  fi
}

# choose_go: golang-go where it is new enough (Debian 13, Ubuntu 24.04), else
# the newest golang-1.N-go beside it (Ubuntu 22.04), else Debian's backports.
choose_go() {
  local package version
  version=$(candidate golang-go)
  if [ -n "$version" ] && dpkg --compare-versions "$version" ge 2:1.21~; then
    packages+=(golang-go)
    return
  fi
  package=$(apt-cache search --names-only '^golang-1\.[0-9]+-go$' | sed -n 's/^golang-1\.\([0-9]*\)-go .*/\1/p' | sort -n | tail -1)
  # apt_get installs a package that only the backports have without being told to.
  if [ "${package:-0}" -ge 21 ] && [ -n "$(candidate "golang-1.$package-go")" ]; then
    packages+=("golang-1.$package-go")
    return
  fi
  if [ "$(os_field ID)" = debian ] && need_backports; then
    newer+=(golang-go)
    return
  fi
  die "this system packages no Go from 1.21 on: install it from https://go.dev/dl into /usr/local/go (build/run looks there) and try again"
}

# choose_driver: Mesa's, on Debian 12 the backports'. It is reached only where
# no driver at all is installed, or Debian 12's own Mesa and no GPU.
choose_driver() {
  if [ "$(os_field ID)" = debian ] && [ "$(os_field VERSION_ID)" = 12 ]; then
    need_backports || die "no $backports: see above"
    newer+=(mesa-vulkan-drivers)
  else
    packages+=(mesa-vulkan-drivers)
  fi
}

backports=$(os_field VERSION_CODENAME)-backports
backports_file=/etc/apt/sources.list.d/kestrel-backports.list

# need_backports makes apt know Debian's backports, from a mirror that the system
# uses already.
need_backports() {
  backports_known && return
  local mirror signed
  while IFS='|' read -r mirror signed; do
    say "adding $backports from $mirror as $backports_file"
    echo "deb ${signed:+[signed-by=$signed] }$mirror $backports main" | as_root tee "$backports_file" >/dev/null
    if apt_get update && backports_known; then return; fi
    as_root rm -f "$backports_file"
  done < <(mirrors | awk '!seen[$0]++')
  apt_get update || true
  say "no mirror has $backports"
  return 1
}

# backports_known: has apt a list of packages from there?
backports_known() {
  local policy
  policy=$(LC_ALL=C apt-cache policy)
  [[ $policy == *"n=$backports,"* ]]
}

# mirrors prints "URI|keyring" for each mirror to try.
mirrors() {
  local uri release component origin signed codename=${backports%-backports}
  apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)' 'Created-By: Packages' |
    while IFS='|' read -r uri release component origin signed; do
      [[ $signed == /* ]] || signed=
      case $release in
        "$codename" | stable | oldstable)
          if [ "$component" = main ] && [ "$origin" = Debian ]; then echo "$uri|$signed"; fi ;;
      esac
    done
}
