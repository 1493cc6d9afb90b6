// Faults of a potential that is a C++ class: faults MODEL. Prints what failed and returns 1.
#include <boltzdrift.hpp>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::vector<std::int32_t> species{8, 1, 1};
constexpr std::size_t frames = 50;

[[noreturn]] void fail(int line, const char *what) {
    std::fprintf(stderr, "line %d: %s\n", line, what);
    std::exit(1);
}
#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) fail(__LINE__, #condition);                                                                 \
    } while (0)

/// What is thrown at the faulty frame: not an std::exception.
struct Own {
    std::size_t frame;
};

/// Springs that hold every atom, E = x^2; at one frame something happens.
class Springs : public boltzdrift::Potential {
public:
    void evaluate(const boltzdrift::Batch &batch) override {
        for (std::size_t k = 0; k < batch.systems; k++) {
            const std::size_t size = 3 * batch.atoms;
            const auto x = batch.positions.part(size * k, size);
            const auto f = batch.forces.part(size * k, size);
            double energy = 0.0;
            for (std::size_t i = 0; i < size; i++) {
                energy += x[i] * x[i];
                f[i] = -2.0 * x[i];
            }
            batch.energies[k] = energy;
            if (seen_++ == 37) happens(batch, k);
        }
    }
    std::string name() const override { return "class"; }

protected:
    virtual void happens(const boltzdrift::Batch &, std::size_t) {}

private:
    std::size_t seen_ = 0;
};

class Throws : public Springs {
    void happens(const boltzdrift::Batch &, std::size_t) override { throw Own{37}; }
};

/// Throws for one frame, whenever it is asked for.
class Picky : public Springs {
public:
    explicit Picky(double first) : first_(first) {}
    void evaluate(const boltzdrift::Batch &batch) override {
        for (std::size_t k = 0; k < batch.systems; k++) {
            if (batch.positions[3 * batch.atoms * k] == first_) throw Own{k};
        }
        Springs::evaluate(batch);
    }

private:
    double first_;
};

class GivesNan : public Springs {
    void happens(const boltzdrift::Batch &batch, std::size_t k) override { batch.energies[k] = std::nan(""); }
};

/// Writes to arrays of its own for the rest of the batch: fewer values than it was asked for.
class Few : public boltzdrift::Potential {
public:
    void evaluate(const boltzdrift::Batch &batch) override {
        for (std::size_t k = 0; k < 37 && k < batch.systems; k++) {
            batch.energies[k] = 0.0;
            for (double &force : batch.forces.part(3 * batch.atoms * k, 3 * batch.atoms)) force = 0.0;
        }
    }
    std::string name() const override { return "class"; }
};

class CallsBack : public Springs {
public:
    explicit CallsBack(const boltzdrift::Sampler &sampler) : sampler_(sampler) {}

private:
    void happens(const boltzdrift::Batch &batch, std::size_t k) override {
        const std::size_t size = 3 * batch.atoms;
        CHECK(sampler_.sample({1, 0, 100}).size() == 900);
        Springs inner;
        const boltzdrift::AnyPotential other(inner);
        other.evaluate(batch.species, batch.positions.part(size * k, size), batch.energies.part(k, 1),
                       batch.forces.part(size * k, size));
        Throws bad;
        std::vector<double> e(frames), f(9 * frames), x(9 * frames, 1.0);
        try {
            boltzdrift::AnyPotential(bad).evaluate(species, x, e, f);
            CHECK(false);
        } catch (const Own &own) {
            CHECK(own.frame == 37);
        }
    }
    const boltzdrift::Sampler &sampler_;
};

class Blocks : public Springs {
public:
    void open() {
        const std::lock_guard<std::mutex> lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

private:
    void happens(const boltzdrift::Batch &, std::size_t) override {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

template <typename Work>
std::string refused(Work &&work) {
    try {
        work();
    } catch (const boltzdrift::Error &error) {
        CHECK(error.status() == boltzdrift::Status::potential);
        return error.what();
    }
    fail(__LINE__, "no error");
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    const auto sampler = boltzdrift::Sampler::load(argv[1]);
    std::vector<double> x, e(frames), f(9 * frames);
    for (std::size_t k = 0; k < 9 * frames; k++) x.push_back(std::sin(static_cast<double>(k)));
    auto data = boltzdrift::Dataset::from_arrays(species, x);

    Throws throws;
    try {
        data.label(throws);
        CHECK(false);
    } catch (const Own &own) {
        CHECK(own.frame == 37);
    }
    // Into a file. One that throws once stops the work too: its own exception, though no frame fails alone; all is kept.
    const std::string out = std::string(argv[1]) + ".npz";
    Throws once;
    try {
        data.label_to(out, once);
        CHECK(false);
    } catch (const Own &own) {
        CHECK(own.frame == 37);
    }
    CHECK(data.label_to(out, once).find("\"kept_before\":50,\"left_out\":[]") != std::string::npos);
    // Frames that always fail are left out where that is asked for, and what was thrown for them is not thrown.
    Picky picky(x[9 * 37]);
    const boltzdrift::AnyPotential any(picky);
    for (int attempt = 0; attempt < 2; attempt++) {
        try {
            data.label_to(out, any, {{"batch", 7}});
            CHECK(false);
        } catch (const Own &own) {
            CHECK(own.frame == 0);
        }
    }
    CHECK(data.label_to(out, any, {{"skip_failing", true}}).find("\"kept_before\":37,\"left_out\":[37]") != std::string::npos);
    any.evaluate(species, {x.data(), 9}, {e.data(), 1}, {f.data(), 9});
    // A file that cannot be written is no exception of the potential's.
    try {
        data.label_to("/no/such/out.npz", any, {{"skip_failing", true}});
        CHECK(false);
    } catch (const boltzdrift::Error &error) {
        CHECK(error.status() == boltzdrift::Status::failed);
    }
    GivesNan nan;
    std::string said = refused([&] { data.label(nan); });
    CHECK(said.find("frame 37: in the frames from arrays: the energy is not finite") != std::string::npos);
    Few few;
    said = refused([&] { data.label(few); });
    CHECK(said.find("frame 37") != std::string::npos && said.find("write 50 energies") != std::string::npos);
    bool without = false;
    try {
        (void)data.energies();
    } catch (const boltzdrift::Error &error) {
        without = error.status() == boltzdrift::Status::unsupported;
    }
    CHECK(without && std::vector<double>(data.positions().begin(), data.positions().end()) == x);

    CallsBack back(sampler);
    const boltzdrift::AnyPotential calls(back);
    calls.evaluate(species, x, e, f);
    for (std::size_t k = 0; k < f.size(); k++) CHECK(f[k] == -2.0 * x[k]);

    Blocks blocks;
    std::atomic<bool> done{false};
    std::thread blocked([&] {
        std::vector<double> energies(frames), forces(9 * frames);
        boltzdrift::AnyPotential(blocks).evaluate(species, x, energies, forces);
        CHECK(forces[5] == -2.0 * x[5]);
        done = true;
    });
    for (std::uint64_t k = 0; k < 20; k++) CHECK(sampler.sample({k, 0, 5000}).size() == 45000);
    Springs springs;
    data.label(springs);
    CHECK(!done);
    blocks.open();
    blocked.join();
    CHECK(done);

    // Owned: the object goes when the last that needs it does, wherever it was moved to.
    auto kept = [] { return boltzdrift::AnyPotential(std::make_unique<Springs>()); }();
    boltzdrift::AnyPotential moved = std::move(kept);
    moved.evaluate(species, x, e, f);
    std::puts("ok");
    return 0;
}
