// Potentials: the caller's own class, and those of the library.
// SPDX-License-Identifier: BSD-3-Clause
#ifndef BOLTZDRIFT_POTENTIAL_HPP
#define BOLTZDRIFT_POTENTIAL_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boltzdrift/error.hpp>

namespace boltzdrift {

/// Configurations of one molecule that want energies and forces.
struct Batch {
    std::size_t systems;             ///< number of configurations B
    std::size_t atoms;               ///< number of atoms n
    View<const std::int32_t> species; ///< atomic numbers (n)
    View<const double> positions;    ///< (B, n, 3)
    View<const double> cells;        ///< empty: a molecule is given alone, whole and unwrapped, whatever its trajectory's cell
    View<double> energies;           ///< (B), to be filled
    View<double> forces;             ///< (B, n, 3), to be filled: minus the gradient of the energy
};

/// A potential of the caller's own: derive from it. An exception of evaluate() stops the work and arrives at the caller
/// unchanged. An energy or force that is not finite, or is not filled in, is an Error that names its frame.
class Potential {
public:
    virtual ~Potential() = default;

    /// Fills in energies and forces. Called on the thread that called the library, unless concurrent() says true.
    virtual void evaluate(const Batch &batch) = 0;

    /// For messages.
    virtual std::string name() const { return "of the caller"; }
    /// What tells it from every other potential; kept beside what was computed with it.
    virtual std::string identity() const { return name(); }
    /// Unit of the positions it is given.
    virtual std::string length_unit() const { return "angstrom"; }
    /// Unit of its energies; forces are energy per length.
    virtual std::string energy_unit() const { return "kcal/mol"; }
    /// Most configurations of a call; 0 for any number.
    virtual std::size_t largest_batch() const { return 0; }
    /// Whether evaluate() may be called from several threads at once, the library's own. It must not wait there for another
    /// thread's call of the library, nor hold a lock while it calls the library itself.
    virtual bool concurrent() const { return false; }
    /// Whether evaluate() fills in configuration after configuration, the energy of each last. So where it fails, those before
    /// the one that is named are done: labels of them are kept, and they are not asked for again.
    virtual bool in_order() const { return false; }

protected:
    Potential() = default;
    Potential(const Potential &) = default;
    Potential &operator=(const Potential &) = default;
};

/// Any potential, as the library takes it: one of the caller's, one opened by name, or a fitted force field. Move-only. Used
/// by one call at a time.
class AnyPotential {
public:
    /// The caller's; `potential` must outlive this object. Implicit, so that it can be given where AnyPotential is asked for.
    AnyPotential(Potential &potential) : hook_(std::make_unique<Hook>(&potential)), handle_(made(*hook_)) {}
    /// The caller's, owned.
    AnyPotential(std::unique_ptr<Potential> potential)
        : hook_(std::make_unique<Hook>(potential.get())), handle_(made(*hook_)) {
        hook_->owned = std::move(potential);
    }
    /// By name, as the command line's --potential: "gdml:FILE", "plugin:LIB.so:options", "torchscript:FILE".
    static AnyPotential open(std::string_view spec) {
        return AnyPotential(detail::call([&] { return bridge::potential_open(detail::to_rust(spec)); }));
    }

    /// Energies (B) in kcal/mol and forces (B, n, 3) in kcal/mol/angstrom of positions (B, n, 3) in angstrom.
    void evaluate(View<const std::int32_t> species, View<const double> positions, View<double> energies,
                  View<double> forces) const {
        detail::call(
            [&] {
                bridge::potential_evaluate(*handle_, detail::slice(species), detail::slice(positions),
                                           detail::slice(energies), detail::slice(forces));
            },
            *this);
    }

    /// Name, identity and, for a fitted one, the report of the fit, as JSON.
    std::string info() const {
        return detail::to_std(detail::call([&] { return bridge::potential_info(*handle_); }));
    }

    /// Writes a fitted force field as an .npz (with the setting plain, in sGDML's file layout); Status::unsupported for other
    /// potentials.
    void save(std::string_view path) const {
        detail::call([&] { bridge::potential_save(*handle_, detail::to_rust(path)); });
    }

    // For the library's own classes.
    explicit AnyPotential(rust::Box<bridge::Handle> handle) : handle_(std::move(handle)) {}
    bridge::Handle &handle() const noexcept { return *handle_; }
    void rethrow() const {
        if (hook_) {
            hook_->thrown.rethrow();
        }
    }
    void rethrow(Status status, std::int32_t own) const {
        if (hook_) {
            status == Status::potential ? hook_->thrown.rethrow(own) : hook_->thrown.forget();
        }
    }
    void forget() const noexcept {
        if (hook_) {
            hook_->thrown.forget();
        }
    }

private:
    /// What the library's callback gets; its address stays the same when the object is moved.
    struct Hook {
        explicit Hook(Potential *own) : potential(own) {}
        Potential *potential;
        std::unique_ptr<Potential> owned;
        detail::Thrown thrown;
    };

    static std::int32_t called(void *hook, std::size_t systems, std::size_t atoms, const std::int32_t *species,
                               const double *positions, const double *cells, double *energies,
                               double *forces) noexcept {
        auto &self = *static_cast<Hook *>(hook);
        try {
            const std::size_t all = systems * atoms * 3;
            self.potential->evaluate(Batch{systems,
                                           atoms,
                                           {species, atoms},
                                           {positions, all},
                                           {cells, cells == nullptr ? 0 : systems * 9},
                                           {energies, systems},
                                           {forces, all}});
            return 0;
        } catch (...) {
            return self.thrown.keep();
        }
    }

    static rust::Box<bridge::Handle> made(Hook &hook) {
        if (hook.potential == nullptr) {
            throw Error(Status::invalid, 0, "the potential is a null pointer");
        }
        const Potential &own = *hook.potential;
        const std::string name = own.name(), identity = own.identity();
        const std::string length = own.length_unit(), energy = own.energy_unit();
        bzd_potential_desc description{};
        description.struct_size = sizeof description;
        description.evaluate = &AnyPotential::called;
        description.user_data = &hook;
        description.name = name.c_str();
        description.identity = identity.c_str();
        description.length_unit = length.c_str();
        description.energy_unit = energy.c_str();
        description.largest_batch = own.largest_batch();
        description.flags = (own.concurrent() ? BZD_CONCURRENT : 0) | (own.in_order() ? BZD_IN_ORDER : 0);
        return detail::call([&] { return bridge::potential_from_callback(description); });
    }

    // Before the handle: destroyed after it.
    std::unique_ptr<Hook> hook_;
    mutable rust::Box<bridge::Handle> handle_;
};

} // namespace boltzdrift

#endif
