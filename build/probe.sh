# Sourced by build/setup: is each thing Kestrel needs there? Every have_X looks
# for the thing itself, not for a package, so that it holds on any system.
# shellcheck shell=bash

have_go() { find_go; }
have_compiler() { command -v "${CC:-gcc}" >/dev/null || command -v cc >/dev/null || command -v clang >/dev/null; }
have_libc() { header stdlib.h; }
have_git() { command -v git >/dev/null; }
have_headers() { header vulkan/vulkan.h; }
have_window() {
  local name
  # how the bindings of OpenGL are told where it is
  [ "$(uname)" != Linux ] || pkg-config --exists gl 2>/dev/null || return 1
  for name in X11/Xlib.h X11/Xcursor/Xcursor.h X11/extensions/{Xrandr,Xinerama,XInput2,xf86vmode}.h GL/gl.h; do
    [ "$(uname)" != Linux ] || header "$name" || return 1
  done
}
# have_display: what the tests of the window draw on.
have_display() { [ "$(uname)" != Linux ] || { command -v Xvfb && command -v xdotool; } >/dev/null; }
have_spirv_tools() { command -v spirv-val >/dev/null; }
# have_compilers: what Mesa's drivers for GPUs that are not there need, to compile for them in a test.
have_compilers() { [[ $({ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null) == *_noop_drm_shim.so* ]]; }
have_glslc() { command -v "${GLSLC:-glslc}" >/dev/null; }

describe() {
  case $1 in
    go) echo "Go 1.21 or newer, which fetches the version go.mod names" ;;
    compiler) echo "C compiler" ;;
    libc) echo "C library's headers" ;;
    git) echo "git" ;;
    certificates) echo "root certificates, for the Go module proxy" ;;
    headers) echo "Vulkan headers" ;;
    loader) echo "Vulkan loader" ;;
    window) echo "X11 and OpenGL headers and pkg-config, for the window" ;;
    display) echo "Xvfb and xdotool, for the tests of the window" ;;
    driver) echo "Vulkan driver: of the GPU, else Mesa's software one (Debian 12's is too slow)" ;;
    validation) echo "Khronos validation layer, for the tests" ;;
    spirv-tools) echo "spirv-val, for the tests" ;;
    compilers) echo "Mesa's drm-shim, for the test that compiles for GPUs that are not there" ;;
    glslc) echo "GLSL compiler, only to change shaders" ;;
  esac
}

# header NAME: can the C compiler include it?
header() {
  local cc=${CC:-}
  [ -n "$cc" ] || cc=$(command -v gcc || command -v cc || command -v clang) || return 1
  local -a flags=()
  if [ "$(uname)" = Darwin ] && command -v brew >/dev/null; then flags=("-I$(brew --prefix)/include"); fi
  # shellcheck disable=SC2086 # CC may hold options
  echo "#include <$1>" | $cc ${flags[@]+"${flags[@]}"} -E - >/dev/null 2>&1
}

have_certificates() {
  [ "$(uname)" != Linux ] || [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] && return 0
  local file
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -s "$file" ] && return 0
  done
  return 1
}

have_loader() {
  local dir
  case $(uname) in
    Linux)
      local cache
      cache=$({ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null) || true
      [[ $cache == *libvulkan.so.1* ]] && return 0
      local path=${LD_LIBRARY_PATH:-}
      for dir in ${path//:/ } /usr/lib /usr/lib64 /usr/local/lib; do
        [ -e "$dir/libvulkan.so.1" ] && return 0
      done
      return 1 ;;
    Darwin)
      for dir in "${VULKAN_SDK:-}/lib" /opt/homebrew/lib /usr/local/lib; do
        if [ -e "$dir/libvulkan.1.dylib" ] || [ -e "$dir/libMoltenVK.dylib" ]; then return 0; fi
      done
      return 1 ;;
    *) [ -e "${SYSTEMROOT:-/c/Windows}/System32/vulkan-1.dll" ] ;;
  esac
}

# manifests KIND…: the loader's JSON files in folders of that kind.
manifests() {
  local base kind
  for base in "${XDG_CONFIG_HOME:-$HOME/.config}" /etc/xdg "${SYSCONFDIR:-/etc}" "${XDG_DATA_HOME:-$HOME/.local/share}" \
    /usr/local/share /usr/share; do
    for kind in "$@"; do
      compgen -G "$base/vulkan/$kind/*.json" || true
    done
  done
}

have_validation() {
  [ "$(uname)" = Linux ] || return 0 # comes with the SDK there; the tests say so where it is missing
  local found
  found=$(manifests explicit_layer.d; compgen -G "${VK_LAYER_PATH:-/nonexistent}/*.json" || true)
  [[ $found == *khronos_validation* ]]
}

# have_driver: a Vulkan driver that is worth running. The software driver of
# Debian 12 counts only where a GPU does the work.
have_driver() {
  [ "$(uname)" = Linux ] || have_loader || return 1
  [ "$(uname)" = Linux ] || return 0
  [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
  [ -n "$(manifests icd.d)" ] || return 1
  have_gpu || ! old_software_driver
}

# have_gpu: NVIDIA's own driver, or a render node of a kernel driver for which
# there is a Vulkan driver. A virtual machine's render node is none.
have_gpu() {
  [[ $(manifests icd.d) == *nvidia* ]] && return 0
  local node driver
  for node in /sys/class/drm/renderD*; do
    driver=$(readlink "$node/device/driver" 2>/dev/null) || continue
    [ -e "/dev/dri/${node##*/}" ] || continue
    case ${driver##*/} in
      i915 | xe | amdgpu | radeon | nouveau | nova* | nvidia* | msm* | v3d | vc4* | panfrost | panthor | asahi | powervr | etnaviv)
        return 0 ;;
    esac
  done
  return 1
}

# old_software_driver: Debian 12's own Mesa, 22.3.
old_software_driver() {
  [ "$(os_field ID)" = debian ] && [ "$(os_field VERSION_ID)" = 12 ] || return 1
  local version
  version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null) || return 1
  dpkg --compare-versions "$version" lt 24
}

# os_field NAME: a field of os-release.
os_field() {
  # shellcheck source=/dev/null
  (. /etc/os-release 2>/dev/null || . /usr/lib/os-release 2>/dev/null || true; echo "${!1:-}")
}

print_instructions() {
  local system
  system=$(uname)
  [ "$system" != Linux ] || system=$(os_field ID)
  {
    say "missing: ${missing[*]}"
    case $system in
      fedora | rhel | centos | rocky | almalinux) cat <<'TEXT' ;;
On Fedora install what Kestrel needs by
  sudo dnf install golang gcc glibc-devel git ca-certificates vulkan-headers vulkan-loader \
    libX11-devel libXcursor-devel libXrandr-devel libXinerama-devel libXi-devel libXxf86vm-devel mesa-libGL-devel pkgconf-pkg-config \
    vulkan-validation-layers spirv-tools glslc xorg-x11-server-Xvfb xdotool
and a driver: for AMD, Intel or no GPU
  sudo dnf install mesa-vulkan-drivers
for NVIDIA the driver of RPM Fusion (akmod-nvidia).
TEXT
      arch | manjaro | endeavouros | cachyos) cat <<'TEXT' ;;
On Arch install what Kestrel needs by
  sudo pacman -S --needed go gcc git ca-certificates vulkan-headers vulkan-icd-loader \
    libx11 libxcursor libxrandr libxinerama libxi libxxf86vm libglvnd pkgconf \
    vulkan-validation-layers spirv-tools shaderc xorg-server-xvfb xdotool
and a driver: vulkan-radeon, vulkan-intel, nvidia-utils, or without a GPU
  sudo pacman -S --needed vulkan-swrast
TEXT
      Darwin) cat <<'TEXT' ;;
On macOS install the compiler and, by Homebrew (https://brew.sh), the rest:
  xcode-select --install
  brew install go molten-vk vulkan-headers vulkan-loader vulkan-validationlayers spirv-tools shaderc
TEXT
      MINGW* | MSYS* | CYGWIN*) cat <<'TEXT' ;;
On Windows install, in PowerShell,
  winget install GoLang.Go Git.Git MSYS2.MSYS2 KhronosGroup.VulkanSDK
  C:\msys64\usr\bin\pacman -S --needed mingw-w64-ucrt-x86_64-gcc mingw-w64-ucrt-x86_64-vulkan-headers
put C:\msys64\ucrt64\bin on PATH, and install your GPU's driver, which brings vulkan-1.dll.
TEXT
      *) cat <<'TEXT' ;;
Install with your system's package manager: Go 1.21 or newer, a C compiler with its library's headers,
git, root certificates, the headers of X11 (Xlib, Xcursor, Xrandr, Xinerama, Xi, Xxf86vm) and OpenGL, pkg-config,
the Vulkan headers, the Vulkan loader (libvulkan.so.1) and a Vulkan driver
(your GPU's, or Mesa's lavapipe); for the tests the Khronos validation layer and SPIRV-Tools.
TEXT
    esac
  } >&2
}
