// Settings of long calls, and how far they are.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_SETTINGS_HPP
#define BOLTZDRIFT_SETTINGS_HPP

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <boltzdrift/error.hpp>

namespace boltzdrift {

/// Settings by name: {{"temperature", 500.0}, {"steps", 2000}, {"device", "cpu"}}, or the same as JSON in a string. An
/// unknown name or a wrong value is an Error of the call that gets them.
class Settings {
public:
    /// One setting.
    class Value {
    public:
        /// Texts.
        Value(const char *value) : json_(value == nullptr ? "null" : quoted(value)) {}
        Value(std::string_view value) : json_(quoted(value)) {}
        Value(const std::string &value) : json_(quoted(value)) {}
        /// Numbers and truth values; not pointers.
        template <typename Number, typename = std::enable_if_t<std::is_arithmetic_v<Number>>>
        Value(Number value) : json_(number(value)) {}

        /// As JSON.
        const std::string &json() const noexcept { return json_; }

    private:
        template <typename Number>
        static std::string number(Number value) {
            if constexpr (std::is_same_v<Number, bool>) {
                return value ? "true" : "false";
            } else {
                std::ostringstream out;
                out.imbue(std::locale::classic());
                out.precision(17);
                out << +value; // a number also where it has 8 bits
                return out.str();
            }
        }
        std::string json_;
    };

    Settings() = default;
    /// JSON, or names and values.
    Settings(const char *json) : json_(json) {}
    Settings(std::string json) : json_(std::move(json)) {}
    Settings(std::initializer_list<std::pair<const char *, Value>> all) {
        json_ = "{";
        for (const auto &[name, value] : all) {
            json_ += (json_.size() > 1 ? ", " : "") + quoted(name) + ": " + value.json();
        }
        json_ += "}";
    }

    /// As JSON; empty for all defaults.
    const std::string &json() const noexcept { return json_; }

private:
    static std::string quoted(std::string_view text) {
        constexpr const char *digits = "0123456789abcdef";
        std::string out = "\"";
        for (const char c : text) {
            const auto code = static_cast<unsigned char>(c);
            if (c == '"' || c == '\\') {
                out += {'\\', c};
            } else if (code < 0x20) {
                out += {'\\', 'u', '0', '0', digits[code >> 4], digits[code & 15]};
            } else {
                out += c;
            }
        }
        return out + "\"";
    }
    std::string json_;
};

/// How far a long call is.
struct Progress {
    std::string_view stage; ///< "reading", "fitting", "equilibrating", "training", "labeling", "refining"
    std::uint64_t done;     ///< frames, tries, evaluations, steps, proposals
    std::uint64_t total;    ///< of them in all, at most; 0 where that is not known
    double value;           ///< the loss in training, the largest split-R-hat in an equilibration, else NaN
};

/// Hears of progress, on the thread of the call. Returning false stops the call with Status::interrupted; an exception
/// stops it and arrives at the caller unchanged.
using Listener = std::function<bool(const Progress &)>;

namespace detail {

/// A listener for the length of one call.
class Ear {
public:
    explicit Ear(const Listener &listener) : listener_(listener) {}
    Ear(const Ear &) = delete;
    Ear &operator=(const Ear &) = delete;

    bridge::Listener bridge() noexcept { return {listener_ ? &Ear::hears : nullptr, this}; }
    void rethrow() { caught_.rethrow(); }
    void rethrow(Status status, std::int32_t) { status == Status::interrupted ? caught_.rethrow() : caught_.forget(); }

private:
    static std::int32_t hears(void *ear, const bzd_progress_t *now) noexcept {
        auto &self = *static_cast<Ear *>(ear);
        try {
            return self.listener_(Progress{now->stage, now->done, now->total, now->value}) ? 0 : 1;
        } catch (...) {
            self.caught_.keep();
            return 1;
        }
    }
    const Listener &listener_;
    Caught caught_;
};

} // namespace detail
} // namespace boltzdrift

#endif
