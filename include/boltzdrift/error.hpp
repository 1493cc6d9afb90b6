// Errors as exceptions; exceptions of the caller's own callbacks come back unchanged.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_ERROR_HPP
#define BOLTZDRIFT_ERROR_HPP

#include <boltzdrift.h>

#include <boltzdrift/bridge.h>

#include <cstdint>
#include <exception>
#include <map>
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

/// Keeps the last exception of a callback.
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

/// Keeps the exceptions of a potential, which may run in several threads, by the status that stands for each: the library
/// may go on after one of them, and says in the end which one it was.
class Thrown {
public:
    /// Called where an exception is handled; the status to return to the library.
    std::int32_t keep() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        try {
            last_ = last_ == most ? 1 : last_ + 1;
            kept_.insert_or_assign(last_, std::current_exception());
            return last_;
        } catch (...) { // no memory
            return 1;
        }
    }
    /// The last one.
    void rethrow() { rethrow(last()); }
    /// The exception of this status, where there is one; forgets all.
    void rethrow(std::int32_t status) {
        std::exception_ptr found;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto there = kept_.find(status);
            if (there != kept_.end()) found = there->second;
        }
        forget();
        if (found) {
            std::rethrow_exception(found);
        }
    }
    void forget() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_.clear();
        last_ = 0;
    }

private:
    std::int32_t last() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        return last_;
    }

    /// More than a batch has: of frames that are left out, the first are forgotten.
    static constexpr std::int32_t most = 4096;
    std::mutex mutex_;
    std::map<std::int32_t, std::exception_ptr> kept_;
    std::int32_t last_ = 0;
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
            (callbacks.rethrow(status, own), ...);
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
