/* What the bridge between Rust and C++ passes by reference. For boltzdrift.hpp alone.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOLTZDRIFT_LISTENER_H
#define BOLTZDRIFT_LISTENER_H

#include <boltzdrift.h>

namespace boltzdrift {
namespace bridge {

/* A function that hears of progress, and its first argument. */
struct Listener {
    bzd_progress_fn function;
    void *user_data;
};

} // namespace bridge
} // namespace boltzdrift

#endif
