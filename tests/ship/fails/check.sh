#!/usr/bin/env bash
# check.sh CXX FLAGS FILE: FILE must not compile, and the compiler must say what the regular
# expression in its first line, "// expect: ...", describes.
set -uo pipefail
cxx=$1 flags=$2 file=$3
expected=$(sed -n '1s|^// expect: ||p' "$file")
if [ -z "$expected" ]; then
  echo "$file: its first line is no '// expect: <regex>'" >&2
  exit 2
fi
# FLAGS is a list for the compiler. -DMUST_COMPILE leaves out what is wrong: the rest of the file
# must be right, or it would fail for another reason than the one it is here for.
if ! output=$($cxx $flags -DMUST_COMPILE -fsyntax-only "$file" 2>&1); then
  printf '%s\n' "$output" >&2
  echo "$file: does not compile even without what is wrong in it" >&2
  exit 1
fi
if output=$($cxx $flags -fsyntax-only "$file" 2>&1); then
  echo "$file: compiles, but must not" >&2
  exit 1
fi
# Messages are one line for this purpose, whatever the width of the terminal.
if ! printf '%s\n' "$output" | tr '\n' ' ' | grep -qE "$expected"; then
  printf '%s\n' "$output" >&2
  echo "$file: the compiler does not say '$expected'" >&2
  exit 1
fi
