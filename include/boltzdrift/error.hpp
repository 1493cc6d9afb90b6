// Errors as exceptions; exceptions of the caller's own callbacks come back unchanged.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_ERROR_HPP
#define BOLTZDRIFT_ERROR_HPP

#include <boltzdrift.h>

#include <boltzdrift/bridge.h>

#include <cstdint>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boltzdrift/view.hpp>

namespace boltzdrift {

/// What kind of error it was.
enum class Status : std::int32_t {
    invalid = BZD_INVALID,         ///< the call is wrong: a length, a temperature, a setting
    failed = BZD_FAILED,           ///< a file or a number is not what it must be
    unsupported = BZD_UNSUPPORTED, ///< not there: in this build, or in this object
    internal = BZD_INTERNAL,       ///< a mistake of the library
    potential = BZD_POTENTIAL,     ///< a potential failed or gave no finite answer
    interrupted = BZD_INTERRUPTED, ///< stopped by the listener
};

/// An error of the library: what was wrong, where, and what to do, in one line.
class Error : public std::runtime_error {
public:
    /// Of a potential or a program of yours; what() is the message.
    Error(Status status, std::int32_t potential_status, const std::string &message)
        : std::runtime_error(message), status_(status), potential_status_(potential_status) {}

    /// What kind it is.
    Status status() const noexcept { return status_; }
    /// What a C potential returned, where it was one that failed; else 0.
    std::int32_t potential_status() const noexcept { return potential_status_; }

private:
    Status status_;
    std::int32_t potential_status_;
};

namespace detail {

/// Keeps the last exception of callbacks, which may run in several threads.
class Caught {
public:
    /// Called where an exception is handled.
    void keep() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        last_ = std::current_exception();
    }
    void rethrow() {
        std::exception_ptr last;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            std::swap(last, last_);
        }
        if (last) {
            std::rethrow_exception(last);
        }
    }
    void forget() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        last_ = nullptr;
    }

private:
    std::mutex mutex_;
    std::exception_ptr last_;
};

/// Runs a call of the bridge. An exception of the callback that ended it goes on; everything else is an Error.
template <typename Work, typename... Callbacks>
auto call(Work &&work, [[maybe_unused]] Callbacks &...callbacks) {
    const auto asked = [&] {
        try {
            return work();
        } catch (const Error &) {
            throw;
        } catch (const std::exception &error) { // the bridge throws nothing but rust::Error, which is declared elsewhere
            const auto status = static_cast<Status>(bridge::last_status());
            const std::int32_t own = bridge::last_potential_status();
            (callbacks.rethrow(status), ...);
            throw Error(status, own, error.what());
        }
    };
    // Nothing that a callback threw is lost, also where the call went on without it.
    if constexpr (std::is_void_v<decltype(work())>) {
        asked();
        (callbacks.rethrow(), ...);
    } else {
        auto result = asked();
        (callbacks.rethrow(), ...);
        return result;
    }
}

inline rust::Str to_rust(std::string_view text) {
    try {
        return rust::Str(text.data(), text.size());
    } catch (const std::invalid_argument &) {
        throw Error(Status::invalid, 0, "the text '" + std::string(text) + "' is not UTF-8");
    }
}

inline std::string to_std(const rust::String &text) { return std::string(text.data(), text.size()); }

template <typename T>
rust::Slice<T> slice(View<T> view) {
    return rust::Slice<T>(view.data(), view.size());
}

template <typename T>
View<const T> view(rust::Slice<const T> slice) {
    return View<const T>(slice.data(), slice.size());
}

} // namespace detail
} // namespace boltzdrift

#endif
