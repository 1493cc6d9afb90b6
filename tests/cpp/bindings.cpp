// The C++ bindings, class by class: bindings OUT.safetensors. Prints what failed and returns 1.
// The physics: three springs between oxygen and two hydrogens; every harmonic mode has kT/2 of potential energy.
#include <boltzdrift.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

constexpr double stiffness = 300.0, lengths[3] = {0.96, 0.96, 1.52}, kelvin = 300.0, kT = 0.001987204259 * kelvin;
constexpr int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
const std::vector<std::int32_t> species{8, 1, 1};

class Springs : public boltzdrift::Potential {
public:
    void evaluate(const boltzdrift::Batch &batch) override {
        calls++;
        if (batch.cells.size() != 0 || batch.species[0] != 8) throw std::logic_error("not what was asked for");
        for (std::size_t k = 0; k < batch.systems; k++) {
            one(batch.positions.part(9 * k, 9), batch.energies[k], batch.forces.part(9 * k, 9));
        }
    }
    std::string name() const override { return "three springs"; }

    std::atomic<int> calls{0};

private:
    static void one(boltzdrift::View<const double> x, double &energy, boltzdrift::View<double> f) {
        energy = 0.0;
        for (double &force : f) force = 0.0;
        for (std::size_t p = 0; p < 3; p++) {
            const auto i = static_cast<std::size_t>(3 * pairs[p][0]), j = static_cast<std::size_t>(3 * pairs[p][1]);
            double d[3], r = 0.0;
            for (std::size_t c = 0; c < 3; c++) {
                d[c] = x[i + c] - x[j + c];
                r += d[c] * d[c];
            }
            r = std::sqrt(r);
            const double off = r - lengths[p];
            energy += stiffness * off * off;
            for (std::size_t c = 0; c < 3; c++) {
                f[i + c] -= 2.0 * stiffness * off * d[c] / r;
                f[j + c] += 2.0 * stiffness * off * d[c] / r;
            }
        }
    }
};

/// In nanometers and kJ/mol, from several threads at once.
class Elsewhere : public Springs {
public:
    void evaluate(const boltzdrift::Batch &batch) override {
        std::vector<double> x(batch.positions.begin(), batch.positions.end());
        for (double &number : x) number *= 10.0;
        boltzdrift::Batch own = batch;
        own.positions = x;
        Springs::evaluate(own);
        for (double &energy : batch.energies) energy *= 4.184;
        for (double &force : batch.forces) force *= 41.84;
    }
    std::string length_unit() const override { return "nm"; }
    std::string energy_unit() const override { return "kJ/mol"; }
    bool concurrent() const override { return true; }
};

/// Not an std::exception: it must come back as what it is.
struct Own {
    int number;
};

class Failing : public Springs {
public:
    explicit Failing(int good, bool own) : good_(good), own_(own) {}
    void evaluate(const boltzdrift::Batch &batch) override {
        Springs::evaluate(batch);
        if (calls > good_) {
            if (own_) throw Own{17};
            batch.energies[0] = std::nan("");
        }
    }

private:
    int good_;
    bool own_;
};

[[noreturn]] void fail(int line, const char *what) {
    std::fprintf(stderr, "line %d: %s\n", line, what);
    std::exit(1);
}

template <typename Work>
std::string refused(boltzdrift::Status status, int line, Work &&work) {
    try {
        work();
    } catch (const boltzdrift::Error &error) {
        if (error.status() != status) fail(line, error.what());
        return error.what();
    }
    fail(line, "no error");
}

std::vector<double> frames(std::size_t count) {
    const double half = 0.76, up = std::sqrt(0.96 * 0.96 - half * half);
    const double water[9] = {0, 0, 0, half, up, 0, -half, up, 0};
    unsigned state = 1;
    std::vector<double> x;
    for (std::size_t k = 0; k < 9 * count; k++) {
        state = state * 1664525u + 1013904223u;
        x.push_back(water[k % 9] + 0.12 * (state / 4294967296.0 - 0.5));
    }
    return x;
}

double mean(boltzdrift::View<const double> numbers) {
    double sum = 0.0;
    for (const double number : numbers) sum += number;
    return sum / static_cast<double>(numbers.size());
}

} // namespace

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) fail(__LINE__, #condition);                                                                 \
    } while (0)
#define REFUSED(status, ...) refused(boltzdrift::Status::status, __LINE__, [&] { __VA_ARGS__; })

static_assert(!std::is_copy_constructible_v<boltzdrift::Dataset> && std::is_move_constructible_v<boltzdrift::Dataset>);
static_assert(!std::is_copy_constructible_v<boltzdrift::Sampler> && std::is_move_assignable_v<boltzdrift::Sampler>);
static_assert(!std::is_copy_constructible_v<boltzdrift::AnyPotential> &&
              std::is_move_constructible_v<boltzdrift::AnyPotential>);

static void datasets(boltzdrift::Dataset &data, const std::vector<double> &x) {
    CHECK(data.size() == 400 && data.atoms() == 3 && data.species() == species);
    CHECK(std::vector<double>(data.positions().begin(), data.positions().end()) == x);
    CHECK(data.masses()[0] > 15.9 && data.masses()[0] < 16.1);
    REFUSED(unsupported, (void)data.forces());
    REFUSED(unsupported, (void)data.velocities());
    data.set_velocities(x);
    CHECK(data.velocities()[7] == x[7]);
    REFUSED(invalid, data.set_velocities(boltzdrift::View<const double>(x).part(0, 8)));
    const std::vector<std::int32_t> wrong{8, 1, 300};
    CHECK(REFUSED(invalid, boltzdrift::Dataset::from_arrays(wrong, x)).find("species of atom 2 is 300") !=
          std::string::npos);
    std::vector<double> broken = x;
    broken[9 * 5 + 4] = std::nan("");
    CHECK(REFUSED(invalid, boltzdrift::Dataset::from_arrays(species, broken)).find("frame 5, atom 1") !=
          std::string::npos);
    CHECK(REFUSED(failed, boltzdrift::Dataset::read("/no/such.xyz")).find("/no/such.xyz") != std::string::npos);
    REFUSED(invalid, boltzdrift::Dataset::read("x.xyz", {{"untis", "real"}}));
    REFUSED(invalid, boltzdrift::Dataset::read("\xff.xyz"));
    CHECK(data.inspect(kelvin).find("\"bonds\"") != std::string::npos);
}

static void potentials(boltzdrift::Dataset &data) {
    Springs springs;
    boltzdrift::AnyPotential moved = [&] { return boltzdrift::AnyPotential(springs); }();
    std::vector<double> e(400), f(3600), elsewhere(400), forces(3600);
    moved.evaluate(species, data.positions(), e, f);
    CHECK(springs.calls > 0 && moved.info().find("three springs") != std::string::npos);
    boltzdrift::AnyPotential owned(std::make_unique<Elsewhere>());
    owned.evaluate(species, data.positions(), elsewhere, forces);
    for (std::size_t k = 0; k < e.size(); k++) CHECK(std::fabs(e[k] - elsewhere[k]) < 1e-9 * (1.0 + e[k]));
    for (std::size_t k = 0; k < f.size(); k++) CHECK(std::fabs(f[k] - forces[k]) < 1e-8 * (1.0 + std::fabs(f[k])));
    // F = -dE/dx, for a path through the library.
    std::vector<double> x(data.positions().begin(), data.positions().begin() + 9), there(9);
    for (std::size_t k = 0; k < 9; k++) {
        double high = 0.0, low = 0.0;
        const double at = x[k], h = 1e-5;
        x[k] = at + h;
        moved.evaluate(species, x, {&high, 1}, there);
        x[k] = at - h;
        moved.evaluate(species, x, {&low, 1}, there);
        x[k] = at;
        CHECK(std::fabs(f[k] + (high - low) / (2.0 * h)) < 1e-5 * (1.0 + std::fabs(f[k])));
    }
    REFUSED(invalid, moved.evaluate(species, x, e, f));
    REFUSED(unsupported, moved.save("none.npz"));
    REFUSED(invalid, boltzdrift::AnyPotential(std::unique_ptr<boltzdrift::Potential>()));
    REFUSED(invalid, boltzdrift::AnyPotential::open("magic:file"));

    // An exception comes back as it was thrown, and nothing of the dataset is lost.
    Failing throws(1, true), gives_nan(0, false);
    try {
        data.label(throws);
        CHECK(false);
    } catch (const Own &own) {
        CHECK(own.number == 17);
    }
    REFUSED(unsupported, (void)data.energies());
    CHECK(REFUSED(potential, data.label(gives_nan)).find("frame 0") != std::string::npos);
    try {
        data.label(springs, [](const boltzdrift::Progress &now) -> bool {
            if (now.stage == "labeling") throw Own{5};
            return true;
        });
        CHECK(false);
    } catch (const Own &own) {
        CHECK(own.number == 5);
    }
    REFUSED(interrupted, data.label(springs, [](const boltzdrift::Progress &) { return false; }));
    data.label(springs);
    for (std::size_t k = 0; k < e.size(); k++) CHECK(data.energies()[k] == e[k]);
}

static void samplers(const boltzdrift::Sampler &sampler, Springs &springs, const boltzdrift::Dataset &states) {
    CHECK(sampler.atoms() == 3 && sampler.species() == species && sampler.bonds().size() == 2);
    CHECK(std::fabs(sampler.temperature().value_or(0.0) - kelvin) < 1e-9);
    CHECK(sampler.info().find("\"figures\"") != std::string::npos);
    const std::vector<double> all = sampler.sample({7, 0, 64});
    CHECK(all.size() == 64 * 9);
    const std::vector<double> part = sampler.sample({7, 30, 5});
    for (std::size_t k = 0; k < part.size(); k++) CHECK(part[k] == all[9 * 30 + k]);
    std::vector<double> small(8);
    REFUSED(invalid, sampler.sample({7, 0, 1}, small));
    REFUSED(invalid, (void)sampler.velocities({7, 0, 3}, kelvin, all));
    REFUSED(invalid, (void)sampler.velocities({7, UINT64_MAX, 64}, kelvin, all));
    CHECK(REFUSED(invalid, (void)sampler.refined(springs, {7, 0, 1}, "[1, 300]")).find("object") != std::string::npos);
    REFUSED(invalid, (void)sampler.sample({7, 0, SIZE_MAX / 2}));

    // Many threads, one handle: the same bytes.
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([&] {
            for (int k = 0; k < 20; k++) wrong += sampler.sample({7, 0, 64}) != all;
        });
    }
    for (auto &thread : threads) thread.join();
    CHECK(wrong == 0);

    const auto refined = sampler.refined(springs, {1, 0, 2000}, {{"steps", 30}});
    CHECK(refined.report.find("acceptance") != std::string::npos);
    // Three modes: mean 3/2 kT, standard error kT sqrt(3/2/2000).
    CHECK(std::fabs(mean(refined.energies) / kT - 1.5) < 5.0 * std::sqrt(1.5 / 2000.0));
    const auto drawn = boltzdrift::Dataset::from_arrays(species, refined.positions, {}, refined.energies);
    CHECK(boltzdrift::evaluate(drawn, states).find("tvd") != std::string::npos);

    // Another order of atoms, elsewhere in space.
    const std::vector<std::int32_t> other{1, 8, 1};
    const std::vector<double> there{5.76, 5.59, 5.0, 5.0, 5.0, 5.0, 4.24, 5.59, 5.0};
    const auto order = sampler.match(other, there);
    CHECK(order[0] == 1 && order[1] + order[2] == 2);
    REFUSED(invalid, (void)sampler.match(std::vector<std::int32_t>{6, 1, 1}, there));
    REFUSED(invalid, (void)sampler.match(other, there, std::vector<std::int32_t>{0, 1, 1}));
    std::vector<double> huge(9, 1e307), once = sampler.sample({7, 3, 1});
    huge[0] = -1e307;
    REFUSED(failed, sampler.place({7, 3, 1}, huge, boltzdrift::Orientation::keep, once));
    REFUSED(failed, (void)boltzdrift::Sampler::load("/dev/zero"));
    CHECK(REFUSED(failed, (void)boltzdrift::Sampler::load("no\nsuch")).find('\n') == std::string::npos);
    std::vector<double> onto;
    for (const auto atom : order)
        for (std::size_t c = 0; c < 3; c++) onto.push_back(there[static_cast<std::size_t>(3 * atom) + c]);
    for (const auto orientation : {boltzdrift::Orientation::keep, boltzdrift::Orientation::random}) {
        auto placed = sampler.sample({7, 3, 1});
        sampler.place({7, 3, 1}, onto, orientation, placed);
        double center[3] = {0, 0, 0}, wanted[3] = {0, 0, 0};
        for (std::size_t a = 0; a < 3; a++)
            for (std::size_t c = 0; c < 3; c++) {
                center[c] += sampler.masses()[a] * placed[3 * a + c];
                wanted[c] += sampler.masses()[a] * onto[3 * a + c];
            }
        for (int c = 0; c < 3; c++) CHECK(std::fabs(center[c] - wanted[c]) < 1e-9);
        const double leg = std::hypot(placed[0] - placed[3], placed[1] - placed[4], placed[2] - placed[5]);
        CHECK(std::fabs(leg - 0.96) < 0.2);
        if (orientation == boltzdrift::Orientation::keep) CHECK(placed[3] > placed[0] && placed[6] < placed[0]);
    }

    // Three degrees of freedom: 3/2 kT of kinetic energy, in kcal/mol.
    const std::size_t count = 5000;
    const auto x = sampler.sample({2, 0, count});
    const auto v = sampler.velocities({2, 0, count}, kelvin, x);
    CHECK(v == boltzdrift::maxwell_velocities(sampler.masses(), {2, 0, count}, kelvin, x));
    double kinetic = 0.0;
    for (std::size_t k = 0; k < v.size(); k++) kinetic += 0.5 * sampler.masses()[k / 3 % 3] * v[k] * v[k] / 4.184e-4;
    CHECK(std::fabs(kinetic / static_cast<double>(count) / kT - 1.5) < 5.0 * std::sqrt(1.5 / static_cast<double>(count)));
    REFUSED(invalid, (void)sampler.velocities({2, 0, 1}, -1.0, x));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    std::atomic<int> lines{0};
    boltzdrift::set_log([&](int level, std::string_view) { lines += level > 0; });
    CHECK(boltzdrift::version() == bzd_version());
    CHECK(std::fabs(boltzdrift::unit("eV", "energy") - 23.060548) < 1e-5);
    CHECK(std::fabs(boltzdrift::lammps_units("metal")[3] - 23.060548) < 1e-5);
    REFUSED(invalid, (void)boltzdrift::lammps_units("lj"));
    REFUSED(invalid, (void)boltzdrift::unit("eV", "length"));
    CHECK(boltzdrift::Settings({{"small", std::uint8_t(53)}, {"view", std::string_view("x")}}).json() ==
          "{\"small\": 53, \"view\": \"x\"}");
    CHECK(boltzdrift::Settings({{"a", 1}, {"b", 0.5}, {"c", "x\"\n"}, {"d", true}}).json() ==
          "{\"a\": 1, \"b\": 0.5, \"c\": \"x\\\"\\u000a\", \"d\": true}");

    const auto x = frames(400);
    auto data = boltzdrift::Dataset::from_arrays(species, x);
    datasets(data, x);
    potentials(data);

    Springs springs;
    REFUSED(invalid, (void)boltzdrift::equilibrate(data, springs, {}));
    REFUSED(invalid, (void)boltzdrift::equilibrate(data, springs, {{"temperature", kelvin}, {"chian", 2}}));
    const auto pool = boltzdrift::equilibrate(data, springs, {{"temperature", kelvin}, {"frames", 4000}, {"effective", 2000}});
    CHECK(pool.report.find("\"converged\":true") != std::string::npos);
    CHECK(std::fabs(mean(pool.states.energies()) / kT - 1.5) < 0.12);
    const std::string path = argv[1];
    if (!boltzdrift::can_train()) {
        REFUSED(unsupported, (void)boltzdrift::fit(data));
        REFUSED(unsupported, (void)boltzdrift::train(pool.states));
        // Made by the full build in another test, or by hand.
        samplers(boltzdrift::Sampler::load(path), springs, pool.states);
    } else {
        const auto field = boltzdrift::fit(data, {{"frames", 60}, {"sigma", 10}, {"ridge", 1e-9}});
        std::vector<double> e(400), f(3600);
        field.evaluate(species, x, e, f);
        double off = 0.0, size = 0.0;
        for (std::size_t k = 0; k < f.size(); k++) {
            off += (f[k] - data.forces()[k]) * (f[k] - data.forces()[k]);
            size += data.forces()[k] * data.forces()[k];
        }
        CHECK(off < 1e-4 * size);
        const boltzdrift::Settings small{{"temperature", kelvin}, {"steps", 400}, {"width", 48}, {"depth", 2},
                                         {"noise", 8}, {"batch", 128}, {"device", "cpu"}};
        REFUSED(interrupted, (void)boltzdrift::train(pool.states, small, [](const boltzdrift::Progress &now) {
                    return now.stage != "training";
                }));
        // Also at the very last report.
        try {
            (void)boltzdrift::train(pool.states, small, [](const boltzdrift::Progress &now) -> bool {
                if (now.stage == "training" && now.done >= now.total) throw Own{9};
                return true;
            });
            CHECK(false);
        } catch (const Own &own) {
            CHECK(own.number == 9);
        }
        double loss = 0.0;
        const auto sampler = boltzdrift::train(pool.states, small, [&](const boltzdrift::Progress &now) {
            loss = now.value;
            return true;
        });
        CHECK(std::isfinite(loss) && loss > 0.0);
        sampler.save(path);
        const auto again = boltzdrift::Sampler::load(path);
        CHECK(again.sample({3, 0, 8}) == sampler.sample({3, 0, 8}));
        samplers(sampler, springs, pool.states);
    }
    boltzdrift::set_log({});
    std::puts("ok");
    return 0;
}
