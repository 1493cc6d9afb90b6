// A small MD code that links boltzdrift: replicas of ethanol in vacuum.
//
//   driver train MODEL [--steps N]        runs MD, equilibrates and trains through its own potential, without a file but MODEL
//   driver run MODEL [--replicas N]       Langevin dynamics that starts equilibrated, beside one that starts minimized
//   driver release MODEL [--replicas N] [--states N] [--csv FILE]
//                                         constant energy from seeds, minimized starts and frames of a long run of that
//                                         many states: the mean potential energy from step 0 on
//
// All take --kelvin T (300) and --seed S (1).
// SPDX-License-Identifier: BSD-3-Clause
#include "dynamics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Options {
    std::string command, model;
    std::map<std::string, std::string> given;

    double number(const std::string &name, double otherwise) const {
        const auto found = given.find(name);
        if (found == given.end()) return otherwise;
        std::size_t end = 0;
        double value = 0.0;
        try {
            value = std::stod(found->second, &end);
        } catch (const std::exception &) {
            end = 0;
        }
        if (end == 0 || end != found->second.size() || !(value > 0.0) || !std::isfinite(value)) {
            throw std::invalid_argument(name + " " + found->second + ": give a positive number");
        }
        return value;
    }
    std::size_t count(const std::string &name, std::size_t otherwise) const {
        const double value = number(name, static_cast<double>(otherwise));
        if (value != std::floor(value) || value > 1e9) throw std::invalid_argument(name + ": give a whole number");
        return static_cast<std::size_t>(value);
    }
};

struct Mean {
    double value, error;
};

/// Mean and standard error of independent numbers.
Mean mean(const std::vector<double> &numbers) {
    const auto n = static_cast<double>(numbers.size());
    double sum = 0.0, squares = 0.0;
    for (const double x : numbers) sum += x;
    for (const double x : numbers) squares += (x - sum / n) * (x - sum / n);
    return {sum / n, std::sqrt(squares / (n - 1.0) / n)};
}

constexpr double friction = 0.005; // 1/fs
constexpr double time_step = 0.5;  // fs

std::vector<double> copies(const std::vector<double> &one, std::size_t count) {
    std::vector<double> all;
    for (std::size_t k = 0; k < count; k++) all.insert(all.end(), one.begin(), one.end());
    return all;
}

std::vector<double> minimum(const Ethanol &potential) {
    Replicas one(potential, Ethanol::start(), 0);
    one.minimize(20000);
    return one.positions();
}

/// Replicas after 20 ps of Langevin dynamics from a minimum, then `count` states, one every 0.5 ps of each replica.
struct LongRun {
    std::vector<double> positions;
    /// One mean for each replica: they are independent.
    std::vector<double> energies;
};

LongRun long_run(const Ethanol &potential, const Options &options, std::size_t replicas, std::size_t states) {
    const double kelvin = options.number("--kelvin", 300.0);
    Replicas run(potential, copies(minimum(potential), replicas), options.count("--seed", 1) + 1000);
    run.thermalize(kelvin);
    run.langevin(40000, time_step, friction, kelvin);
    LongRun out;
    out.energies.assign(replicas, 0.0);
    const std::size_t rounds = (states + replicas - 1) / replicas;
    for (std::size_t round = 0; round < rounds; round++) {
        run.langevin(1000, time_step, friction, kelvin);
        out.positions.insert(out.positions.end(), run.positions().begin(), run.positions().end());
        for (std::size_t k = 0; k < replicas; k++) out.energies[k] += run.energies()[k] / static_cast<double>(rounds);
    }
    return out;
}

/// From this program's own run to a sampler. The library asks the potential below through a callback.
int train(const Options &options) {
    const double kelvin = options.number("--kelvin", 300.0);
    Ethanol potential;
    const auto run = long_run(potential, options, 16, 2000);
    auto frames = boltzdrift::Dataset::from_arrays(Ethanol::species, run.positions, {}, {}, Ethanol::masses);
    const auto pool = boltzdrift::equilibrate(frames, potential, {{"temperature", kelvin}, {"frames", 8000}});
    std::printf("%zu frames of its own MD, %zu equilibrated states\n", frames.size(), pool.states.size());
    const auto shown = [last = 0.0](const boltzdrift::Progress &now) mutable {
        const double part = static_cast<double>(now.done) / static_cast<double>(now.total);
        if (part >= last + 0.1) {
            last = part;
            std::fprintf(stderr, "%3.0f %%, loss %.4g\n", 100.0 * part, now.value);
        }
        return true;
    };
    const auto sampler = boltzdrift::train(
        pool.states, {{"temperature", kelvin}, {"steps", options.count("--steps", 10000)}, {"seed", options.count("--seed", 1)}},
        shown);
    sampler.save(options.model);
    std::printf("%s written\n", options.model.c_str());
    return 0;
}

/// Positions of equilibrated replicas: raw samples, and 20 Monte Carlo steps under the potential.
std::vector<double> seeds(const boltzdrift::Sampler &sampler, Ethanol &potential, const Options &options,
                          std::size_t replicas) {
    const boltzdrift::Settings settings{{"temperature", options.number("--kelvin", 300.0)}, {"steps", 20}};
    return sampler.refined(potential, {options.count("--seed", 1), 0, replicas}, settings).positions;
}

/// Langevin dynamics that needs no equilibration, beside one that does.
int run(const Options &options) {
    const double kelvin = options.number("--kelvin", 300.0);
    const std::size_t replicas = options.count("--replicas", 1000);
    Ethanol potential;
    const auto sampler = boltzdrift::Sampler::load(options.model);
    const std::size_t seed = options.count("--seed", 1);
    Replicas seeded(potential, seeds(sampler, potential, options, replicas), seed);
    Replicas minimized(potential, copies(minimum(potential), replicas), seed);
    std::printf("%8s %24s %24s\n", "ps", "from seeds, kcal/mol", "from a minimum, kcal/mol");
    seeded.thermalize(kelvin);
    minimized.thermalize(kelvin);
    for (int step = 0; step <= 10; step++) {
        const Mean a = mean(seeded.energies()), b = mean(minimized.energies());
        std::printf("%8.2f %15.3f +- %.3f %17.3f +- %.3f\n", 0.2 * step, a.value, a.error, b.value, b.error);
        seeded.langevin(400, time_step, friction, kelvin);
        minimized.langevin(400, time_step, friction, kelvin);
    }
    std::printf("kinetic temperature: %.1f K from seeds, %.1f K from a minimum\n", seeded.temperature(),
                minimized.temperature());
    return 0;
}

/// The mean potential energy of replicas at constant energy, every 10 fs of 1 ps.
std::vector<Mean> released(const Ethanol &potential, std::vector<double> positions, double kelvin, std::uint64_t seed) {
    Replicas replicas(potential, std::move(positions), seed);
    replicas.thermalize(kelvin);
    std::vector<Mean> out{mean(replicas.energies())};
    for (int k = 0; k < 100; k++) {
        replicas.verlet(50, 0.2);
        out.push_back(mean(replicas.energies()));
    }
    return out;
}

int release(const Options &options) {
    const double kelvin = options.number("--kelvin", 300.0);
    const std::size_t replicas = options.count("--replicas", 4000);
    Ethanol potential;
    const auto sampler = boltzdrift::Sampler::load(options.model);
    const auto run = long_run(potential, options, 50, std::max(replicas, options.count("--states", 10000)));
    const Mean wanted = mean(run.energies);
    const std::uint64_t seed = options.count("--seed", 1);
    std::vector<double> frames(run.positions.end() - static_cast<std::ptrdiff_t>(replicas * 3 * Ethanol::atoms),
                               run.positions.end());
    const struct {
        const char *name;
        std::vector<Mean> energies;
    } starts[] = {
        {"refined seeds", released(potential, seeds(sampler, potential, options, replicas), kelvin, seed)},
        {"raw seeds", released(potential, sampler.sample({seed, 0, replicas}), kelvin, seed + 1)},
        {"frames of the run", released(potential, frames, kelvin, seed + 2)},
        {"minimized starts", released(potential, copies(minimum(potential), replicas), kelvin, seed + 3)},
    };
    std::printf("long run at %g K: mean potential energy %.3f +- %.3f kcal/mol\n\n", kelvin, wanted.value, wanted.error);
    std::printf("%-18s", "at fs");
    for (const int at : {0, 2, 5, 10, 20, 50, 100}) std::printf("%9d", 10 * at);
    std::printf("   largest deviation\n");
    for (const auto &start : starts) {
        std::printf("%-18s", start.name);
        double worst = 0.0;
        for (const auto &[value, error] : start.energies) {
            worst = std::max(worst, std::fabs(value - wanted.value) / std::hypot(error, wanted.error));
        }
        for (const std::size_t at : {0, 2, 5, 10, 20, 50, 100}) std::printf("%9.3f", start.energies[at].value);
        std::printf("   %.1f standard errors\n", worst);
    }
    const auto csv = options.given.find("--csv");
    if (csv != options.given.end()) {
        std::ofstream out(csv->second);
        out.precision(9);
        out << "fs,long run,long run error";
        for (const auto &start : starts) out << "," << start.name << "," << start.name << " error";
        for (std::size_t k = 0; k <= 100; k++) {
            out << "\n" << 10 * k << "," << wanted.value << "," << wanted.error;
            for (const auto &start : starts) out << "," << start.energies[k].value << "," << start.energies[k].error;
        }
        out << "\n";
        out.close();
        if (!out) {
            std::fprintf(stderr, "%s: cannot write\n", csv->second.c_str());
            return 1;
        }
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    const std::set<std::string> known{"--replicas", "--states", "--steps", "--kelvin", "--seed", "--csv"};
    Options options;
    for (int k = 1; k < argc; k++) {
        const std::string word = argv[k];
        if (word.rfind("--", 0) != 0) {
            (options.command.empty() ? options.command : options.model) = word;
        } else if (k + 1 < argc && known.count(word) != 0) {
            options.given[word] = argv[++k];
        } else {
            std::fprintf(stderr, "driver: %s is no option, or has no value\n", argv[k]);
            return 2;
        }
    }
    try {
        if (!options.model.empty()) {
            if (options.command == "train") return train(options);
            if (options.command == "run") return run(options);
            if (options.command == "release") return release(options);
        }
        std::fprintf(stderr, "usage: driver train|run|release MODEL [--replicas N] [--states N] [--steps N] [--kelvin T] [--seed S] [--csv FILE]\n");
        return 2;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "driver: %s\n", error.what());
        return 1;
    }
}
