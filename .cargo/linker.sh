#!/bin/sh
# The C compiler as linker, as cargo would call it, but for two things. Functions that crates export for their own C side
# (tch for libtorch's streams, bzip2 for its errors) stay inside the shared library. rustc has no option for that; it lists
# what a library exports, a line each, in a version script.
for argument in "$@"; do
    shift
    case $argument in
    # In fuzzers the C++ compiler of chemfiles names the runtime of its own sanitizer; rustc brings one, and two do not mix.
    -lasan | -ltsan) continue ;;
    -Wl,--version-script=*)
        sed -i -e '/^ *tch_read_stream_/d' -e '/^ *tch_write_stream_/d' -e '/^ *bz_internal_error;/d' \
            "${argument#-Wl,--version-script=}" || exit 1
        ;;
    esac
    set -- "$@" "$argument"
done
exec cc "$@"
