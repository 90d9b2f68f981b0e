#!/bin/sh
# Installs what is missing, and only that: a second run asks nobody and needs no network.
#
#     sh tests/install.sh build [test] [coverage] [lint] [clang] [peers]
#
# Debian, Ubuntu and their kin by apt-get, macOS by Homebrew. Elsewhere it does nothing: what is there may do, and the
# build says what is not.
set -eu

packages=
for purpose in "$@"; do
  case $(uname -s):$purpose in
    Darwin:build)    packages="$packages sqlite openblas cjson" ;;
    Darwin:test)     packages="$packages cmocka python numpy scipy pytest" ;;
    Darwin:coverage) packages="$packages gcovr" ;;
    Darwin:lint)     packages="$packages llvm clang-format cppcheck python" ;;
    Linux:build)     packages="$packages gcc libc6-dev make sqlite3 libsqlite3-dev libopenblas-serial-dev libcjson-dev" ;;
    Linux:test)      packages="$packages libcmocka-dev python3 python3-pytest python3-numpy python3-scipy python3-sklearn" ;;
    Linux:coverage)  packages="$packages gcovr" ;;
    Linux:lint)      packages="$packages clang-format clang-tidy cppcheck python3-venv" ;;
    Linux:clang)     packages="$packages clang llvm libclang-rt-dev" ;;
    Linux:peers)     packages="$packages python3-venv python3-dev g++" ;;
  esac
done

missing=
if [ "$(uname -s)" = Darwin ]; then
  command -v brew >/dev/null || { echo "install.sh: Homebrew is needed, see https://brew.sh" >&2; exit 1; }
  for package in $packages; do
    [ -e "$(brew --prefix)/opt/$package" ] || missing="$missing $package"
  done
  [ -z "$missing" ] || brew install $missing
elif command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  for package in $packages; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
      installed*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  if [ -n "$missing" ]; then
    echo "install.sh: installing$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
      command -v sudo >/dev/null || { echo "install.sh: as root: apt-get install$missing" >&2; exit 1; }
      sudo=sudo
    fi
    $sudo apt-get update -qq || echo "install.sh: the package lists could not all be read, trying with what is there" >&2
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
  fi
fi
