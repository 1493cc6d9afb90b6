// Numbers that somebody else owns, as std::span is in C++20.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_VIEW_HPP
#define BOLTZDRIFT_VIEW_HPP

#include <cstddef>
#include <type_traits>
#include <utility>

namespace boltzdrift {

/// A run of numbers in memory that must outlive the view: T is double, const double or const std::int32_t.
template <typename T>
class View {
public:
    constexpr View() noexcept = default;
    /// Of a pointer, or an array.
    constexpr View(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr View(T (&array)[N]) noexcept : data_(array), size_(N) {}

    /// Of a std::vector, std::array, std::span and whatever else has data() and size().
    template <typename Container, typename = std::enable_if_t<std::is_convertible_v<
                                      decltype(std::declval<Container &>().data()), T *>>>
    constexpr View(Container &container) noexcept : data_(container.data()), size_(container.size()) {}
    template <typename Container, typename = std::enable_if_t<std::is_const_v<T> && std::is_convertible_v<
                                      decltype(std::declval<const Container &>().data()), T *>>>
    constexpr View(const Container &container) noexcept : data_(container.data()), size_(container.size()) {}

    /// As those of std::span.
    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T &operator[](std::size_t k) const noexcept { return data_[k]; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }

    /// `count` numbers from number `first` on.
    constexpr View part(std::size_t first, std::size_t count) const noexcept { return View(data_ + first, count); }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace boltzdrift

#endif
