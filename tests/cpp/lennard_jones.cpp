// Energies and forces of frames of four argon atoms, in bits, by a class with the arithmetic of the Lennard-Jones plug-in:
// lennard_jones EPSILON SIGMA < frames
#include <boltzdrift.hpp>

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

class LennardJones : public boltzdrift::Potential {
public:
    LennardJones(double epsilon, double sigma) : epsilon_(epsilon), sigma_(sigma) {}

    void evaluate(const boltzdrift::Batch &batch) override {
        if (batch.cells.size() != 0) throw std::invalid_argument("periodic cells are not for this potential");
        const std::size_t n = batch.atoms;
        for (std::size_t k = 0; k < batch.systems; k++) {
            const auto x = batch.positions.part(3 * n * k, 3 * n);
            const auto f = batch.forces.part(3 * n * k, 3 * n);
            double energy = 0.0;
            for (double &force : f) force = 0.0;
            for (std::size_t i = 0; i < n; i++) {
                for (std::size_t j = 0; j < i; j++) {
                    double d[3], square = 0.0;
                    for (std::size_t c = 0; c < 3; c++) {
                        d[c] = x[3 * i + c] - x[3 * j + c];
                        square += d[c] * d[c];
                    }
                    const double s6 = std::pow(sigma_ * sigma_ / square, 3.0);
                    energy += 4.0 * epsilon_ * s6 * (s6 - 1.0);
                    const double over_square = 24.0 * epsilon_ * s6 * (2.0 * s6 - 1.0) / square;
                    for (std::size_t c = 0; c < 3; c++) {
                        f[3 * i + c] += over_square * d[c];
                        f[3 * j + c] -= over_square * d[c];
                    }
                }
            }
            batch.energies[k] = energy;
        }
    }
    std::string name() const override { return "Lennard-Jones"; }

private:
    double epsilon_, sigma_;
};

void print_bits(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    std::printf("%016" PRIx64 "\n", bits);
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 3) return 2;
    LennardJones own(std::atof(argv[1]), std::atof(argv[2]));
    const boltzdrift::AnyPotential potential(own);
    const std::vector<std::int32_t> species(4, 18);
    std::vector<double> x;
    std::uint64_t bits;
    while (std::scanf("%" SCNx64, &bits) == 1) {
        x.emplace_back();
        std::memcpy(&x.back(), &bits, sizeof bits);
    }
    std::vector<double> e(x.size() / 12), f(x.size());
    potential.evaluate(species, x, e, f);
    for (std::size_t k = 0; k < e.size(); k++) {
        print_bits(e[k]);
        for (std::size_t i = 12 * k; i < 12 * (k + 1); i++) print_bits(f[i]);
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
