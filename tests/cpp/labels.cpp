// Labels that are cut off and go on, by a class: the program of tests/c/labels.c, with an exception for a failure.
#include <boltzdrift.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

/// What is thrown at the faulty frame: not an std::exception.
struct Own {
    long frame;
};

class Springs : public boltzdrift::Potential {
public:
    Springs(const std::string &folder, std::string fault, long frame)
        : fault_(std::move(fault)), frame_(frame), log_(folder + "/log", std::ios::app) {}

    void evaluate(const boltzdrift::Batch &batch) override {
        const std::size_t size = 3 * batch.atoms;
        for (std::size_t k = 0; k < batch.systems; k++) {
            const auto x = batch.positions.part(size * k, size);
            const auto f = batch.forces.part(size * k, size);
            const long number = static_cast<long>(100.0 * (x[0] - 1.0) + 0.5);
            if (number == frame_ && fault_ != "none") {
                if (fault_ == "kill") std::raise(SIGKILL);
                if (fault_ == "memory") fault_ = "none";
                throw Own{number};
            }
            log_ << number << std::endl;
            double energy = 0.0;
            for (std::size_t i = 0; i < size; i++) {
                energy += x[i] * x[i];
                f[i] = -2.0 * x[i];
            }
            batch.energies[k] = energy;
        }
    }
    std::string name() const override { return "springs"; }
    bool in_order() const override { return true; }

private:
    std::string fault_;
    long frame_;
    std::ofstream log_;
};

/// Whether nothing is kept.
bool nothing(const boltzdrift::Dataset &data, const boltzdrift::AnyPotential &potential) {
    try {
        (void)data.labelled(potential);
    } catch (const boltzdrift::Error &error) {
        return error.status() == boltzdrift::Status::unsupported;
    }
    return false;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) return 1;
    const std::string folder = argv[1], fault = argv[2];
    try {
        auto data = boltzdrift::Dataset::read(folder + "/data.npz");
        Springs springs(folder, fault, std::atol(argv[3]));
        const boltzdrift::AnyPotential potential(springs);
        if (fault != "memory") {
            std::puts(data.label_to(folder + "/out.npz", potential, {{"batch", 16}}).c_str());
            return 0;
        }
        if (!nothing(data, potential)) return 1;
        try {
            data.label(potential);
            return 1;
        } catch (const Own &own) {
            std::printf("threw %ld\n", own.frame);
        }
        data.labelled(potential).write(folder + "/part.npz");
        data.label(potential);
        data.write(folder + "/out.npz");
        return nothing(data, potential) ? 0 : 1;
    } catch (const Own &own) {
        std::printf("threw %ld\n", own.frame);
    } catch (const boltzdrift::Error &error) {
        std::printf("%d %s\n", static_cast<int>(error.status()), error.what());
    }
    return 3;
}
