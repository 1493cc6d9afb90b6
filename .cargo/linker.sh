#!/bin/sh
# The C compiler as linker, as cargo would call it, but for one thing: functions that crates export for their own C side
# (tch for libtorch's streams, bzip2 for its errors) stay inside the shared library. rustc has no option for that; it lists
# what a library exports, a line each, in a version script.
for argument in "$@"; do
    case $argument in
    -Wl,--version-script=*)
        sed -i -e '/^ *tch_read_stream_/d' -e '/^ *tch_write_stream_/d' -e '/^ *bz_internal_error;/d' \
            "${argument#-Wl,--version-script=}" || exit 1
        ;;
    esac
done
exec cc "$@"
