// SPDX-License-Identifier: BSD-3-Clause
#include "dynamics.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

namespace {
constexpr std::size_t each_replica = 3 * Ethanol::atoms;
}

Replicas::Replicas(const Ethanol &potential, std::vector<double> positions, std::uint64_t seed)
    : potential_(potential), x_(std::move(positions)), v_(x_.size()), f_(x_.size()),
      energies_(x_.size() / each_replica) {
    for (std::size_t k = 0; k < size(); k++) {
        std::seed_seq both{seed, static_cast<std::uint64_t>(k)};
        random_.emplace_back(both);
    }
    each([this](std::size_t k) { force(k); });
}

void Replicas::each(const std::function<void(std::size_t)> &work) {
    const std::size_t threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, size());
    std::vector<std::thread> pool;
    for (std::size_t t = 0; t < threads; t++) {
        pool.emplace_back([&, t] {
            for (std::size_t k = t; k < size(); k += threads) work(k);
        });
    }
    for (auto &thread : pool) thread.join();
}

void Replicas::kick(std::size_t k, double dt) {
    for (std::size_t i = 0; i < each_replica; i++) {
        v_[each_replica * k + i] += dt * to_acceleration * f_[each_replica * k + i] / Ethanol::masses[i / 3];
    }
}

void Replicas::drift(std::size_t k, double dt) {
    for (std::size_t i = each_replica * k; i < each_replica * (k + 1); i++) x_[i] += dt * v_[i];
}

void Replicas::force(std::size_t k) {
    energies_[k] = potential_.energy_forces(&x_[each_replica * k], &f_[each_replica * k]);
}

void Replicas::thermalize(double kelvin) {
    for (std::size_t k = 0; k < size(); k++) {
        std::normal_distribution<double> normal;
        double *v = &v_[each_replica * k], momentum[3] = {0, 0, 0}, total = 0.0;
        for (std::size_t i = 0; i < each_replica; i++) {
            const double mass = Ethanol::masses[i / 3];
            v[i] = std::sqrt(boltzmann * to_acceleration * kelvin / mass) * normal(random_[k]);
            momentum[i % 3] += mass * v[i];
        }
        for (const double mass : Ethanol::masses) total += mass;
        for (std::size_t i = 0; i < each_replica; i++) v[i] -= momentum[i % 3] / total;
    }
}

void Replicas::verlet(std::size_t steps, double dt) {
    each([=](std::size_t k) {
        for (std::size_t s = 0; s < steps; s++) {
            kick(k, 0.5 * dt);
            drift(k, dt);
            force(k);
            kick(k, 0.5 * dt);
        }
    });
}

void Replicas::langevin(std::size_t steps, double dt, double friction, double kelvin) {
    const double keep = std::exp(-friction * dt);
    const double heat = std::sqrt((1.0 - keep * keep) * boltzmann * to_acceleration * kelvin);
    each([=](std::size_t k) {
        std::normal_distribution<double> normal;
        for (std::size_t s = 0; s < steps; s++) {
            kick(k, 0.5 * dt);
            drift(k, 0.5 * dt);
            for (std::size_t i = 0; i < each_replica; i++) {
                double &v = v_[each_replica * k + i];
                v = keep * v + heat / std::sqrt(Ethanol::masses[i / 3]) * normal(random_[k]);
            }
            drift(k, 0.5 * dt);
            force(k);
            kick(k, 0.5 * dt);
        }
    });
}

void Replicas::minimize(std::size_t steps) {
    each([=](std::size_t k) {
        std::fill(&v_[each_replica * k], &v_[each_replica * k] + each_replica, 0.0);
        for (std::size_t s = 0; s < steps; s++) {
            kick(k, 0.25);
            drift(k, 0.5);
            force(k);
            kick(k, 0.25);
            // Goes on downhill, stops where it would go up.
            double power = 0.0;
            for (std::size_t i = each_replica * k; i < each_replica * (k + 1); i++) power += f_[i] * v_[i];
            if (power < 0.0) std::fill(&v_[each_replica * k], &v_[each_replica * k] + each_replica, 0.0);
        }
        std::fill(&v_[each_replica * k], &v_[each_replica * k] + each_replica, 0.0);
    });
}

double Replicas::temperature() const {
    double kinetic = 0.0;
    for (std::size_t i = 0; i < v_.size(); i++) {
        kinetic += 0.5 * Ethanol::masses[i / 3 % Ethanol::atoms] * v_[i] * v_[i] / to_acceleration;
    }
    return 2.0 * kinetic / (static_cast<double>(size() * each_replica) * boltzmann);
}
