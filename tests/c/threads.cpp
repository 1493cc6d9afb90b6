// Many threads draw at once, with one handle that they share and with handles and potentials of their own: the bytes are those
// of one thread. An error of one thread is not another's. threads MODEL [THREADS SECONDS], 20 rounds where no time is given.
#include <boltzdrift.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

// E = sum x^2 / 2 of every frame. Counts its calls, each thread for itself: there is no state to share.
std::int32_t well(void *calls, std::size_t systems, std::size_t atoms, const std::int32_t *, const double *x, const double *,
                  double *energies, double *forces) {
    ++*static_cast<std::size_t *>(calls);
    for (std::size_t s = 0; s < systems; s++) {
        energies[s] = 0;
        for (std::size_t k = s * atoms * 3; k < (s + 1) * atoms * 3; k++) {
            energies[s] += 0.5 * x[k] * x[k];
            forces[k] = -x[k];
        }
    }
    return 0;
}

bool same(const std::vector<double> &a, const std::vector<double> &b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

} // namespace

int main(int argc, char **argv) {
    constexpr std::size_t count = 300, rounds = 20;
    if (argc != 2 && argc != 4) return 2;
    const std::size_t many = argc == 4 ? std::strtoul(argv[2], nullptr, 10) : 8;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(argc == 4 ? std::atol(argv[3]) : 0);
    bzd_sampler_t *shared = nullptr;
    std::size_t atoms = 0;
    if (bzd_sampler_load(argv[1], &shared) != BZD_OK || bzd_sampler_atoms(shared, &atoms) != BZD_OK) return 2;
    const std::size_t size = count * atoms * 3;
    std::vector<double> wanted(size), speeds(size);
    std::vector<std::int32_t> species(atoms);
    if (bzd_sampler_species(shared, species.data(), atoms) != BZD_OK) return 2;
    if (bzd_sampler_sample(shared, 5, 0, count, wanted.data(), size) != BZD_OK) return 2;
    if (bzd_sampler_velocities(shared, 5, 0, 300, wanted.data(), speeds.data(), size) != BZD_OK) return 2;
    std::atomic<int> wrong{0};
    std::atomic<std::size_t> done{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < many; t++) {
        threads.emplace_back([&, t] {
            std::vector<double> x(size), v(size), f(size), energies(count);
            for (std::size_t round = 0; argc == 4 ? std::chrono::steady_clock::now() < end : round < rounds; round++) {
                bzd_sampler_t *own = nullptr;
                if (bzd_sampler_load(argv[1], &own) != BZD_OK) wrong++;
                for (const bzd_sampler_t *sampler : {shared, own}) {
                    // Each thread another part first, in pieces of another size.
                    const std::size_t piece = 7 + 11 * t;
                    for (std::size_t first = 0; first < count; first += piece) {
                        const std::size_t n = std::min(piece, count - first);
                        if (bzd_sampler_sample(sampler, 5, first, n, &x[first * atoms * 3], n * atoms * 3) != BZD_OK) wrong++;
                    }
                    wrong += !same(x, wanted);
                    wrong += bzd_sampler_velocities(sampler, 5, 0, 300, x.data(), v.data(), size) != BZD_OK || !same(v, speeds);
                }
                std::size_t calls = 0;
                bzd_potential_desc description{};
                description.struct_size = sizeof description;
                description.evaluate = well;
                description.user_data = &calls;
                description.largest_batch = 50;
                bzd_potential_t *potential = nullptr;
                wrong += bzd_potential_from_callback(&description, &potential) != BZD_OK ||
                         bzd_potential_evaluate(potential, count, atoms, species.data(), x.data(), energies.data(),
                                                f.data()) != BZD_OK ||
                         calls != count / 50;
                for (std::size_t k = 0; k < size; k++) wrong += f[k] != -wanted[k];
                bzd_potential_free(potential);
                const std::string nobody = "/no/such/" + std::to_string(t);
                bzd_sampler_t *none = nullptr;
                if (bzd_sampler_load(nobody.c_str(), &none) != BZD_FAILED ||
                    std::strstr(bzd_last_error(), nobody.c_str()) == nullptr) {
                    wrong++;
                }
                bzd_sampler_free(own);
                done++;
            }
        });
    }
    for (auto &thread : threads) thread.join();
    bzd_sampler_free(shared);
    std::fprintf(stderr, "%zu threads, %zu rounds\n", many, done.load());
    std::printf("%d wrong\n", wrong.load());
    return wrong == 0 ? 0 : 1;
}
