#!/usr/bin/env bash
# One packaging test:  check.sh KIND SOURCE BUILD SCRATCH CXX
#   install     installs BUILD, moves the install elsewhere
#   package     find_package(procession) on that install
#   pkg_config  a plain compiler call with pkg-config on that install
#   subfolder   add_subdirectory(SOURCE), as a static and then as a shared library
set -euo pipefail
kind=$1 source=$2 build=$3 scratch=$4
export CXX=$5
prefix=$scratch/prefix
here=$source/tests/packaging/consumers
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi

run() {
  echo "+ $*"
  "$@" </dev/null
}

configure() { # SOURCE BUILD options...
  local from=$1 to=$2
  shift 2
  run cmake -G Ninja -S "$from" -B "$to" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS_RELEASE=-O1 "$@"
}

check_install() {
  rm -rf "$scratch/first" "$prefix"
  run cmake --install "$build" --prefix "$scratch/first"
  mv "$scratch/first" "$prefix"
  local config
  config=$(find "$prefix" -name 'procession-config.cmake' -o -name 'procession.pc')
  if grep -n "$scratch/first" $config; then
    echo "an installed file names the folder it was installed to" >&2
    exit 1
  fi
}

check_package() {
  rm -rf "$scratch/package"
  configure "$here/package" "$scratch/package" -DCMAKE_PREFIX_PATH="$prefix"
  run cmake --build "$scratch/package"
  for program in square main_before main_after through_static with_plugin; do
    run "$scratch/package/$program"
  done
}

check_pkg_config() {
  mkdir -p "$scratch/pkg_config"
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name procession.pc)")
  export PKG_CONFIG_PATH
  local flags libraries
  read -r -a flags <<<"$(pkg-config --cflags procession)"
  read -r -a libraries <<<"$(pkg-config --libs procession)"
  run "$CXX" -O1 "${flags[@]}" "$here/square.cpp" -o "$scratch/pkg_config/square" "${libraries[@]}"
  run "$scratch/pkg_config/square"
}

check_subfolder() {
  rm -rf "$scratch/subfolder"
  for shared in OFF ON; do
    configure "$here/subfolder" "$scratch/subfolder" \
      -DPROCESSION_SOURCE="$source" -DBUILD_SHARED_LIBS=$shared
    run cmake --build "$scratch/subfolder"
    run "$scratch/subfolder/square"
  done
}

"check_$kind"
