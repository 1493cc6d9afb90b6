// Eight threads draw at once, with one handle that they share and with handles of their own: the bytes are those of one
// thread. An error of one thread is not another's. threads MODEL
#include <boltzdrift.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char **argv) {
    constexpr std::size_t count = 300, rounds = 20;
    if (argc != 2) return 2;
    bzd_sampler_t *shared = nullptr;
    std::size_t atoms = 0;
    if (bzd_sampler_load(argv[1], &shared) != BZD_OK || bzd_sampler_atoms(shared, &atoms) != BZD_OK) return 2;
    std::vector<double> wanted(count * atoms * 3);
    if (bzd_sampler_sample(shared, 5, 0, count, wanted.data(), wanted.size()) != BZD_OK) return 2;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
            std::vector<double> x(wanted.size());
            for (std::size_t round = 0; round < rounds; round++) {
                bzd_sampler_t *own = nullptr;
                if (bzd_sampler_load(argv[1], &own) != BZD_OK) wrong++;
                for (const bzd_sampler_t *sampler : {shared, own}) {
                    // Each thread another part first, in pieces of another size.
                    const std::size_t piece = 7 + 11 * t;
                    for (std::size_t first = 0; first < count; first += piece) {
                        const std::size_t n = std::min(piece, count - first);
                        if (bzd_sampler_sample(sampler, 5, first, n, &x[first * atoms * 3], n * atoms * 3) != BZD_OK) wrong++;
                    }
                    wrong += std::memcmp(x.data(), wanted.data(), x.size() * sizeof(double)) != 0;
                }
                const std::string nobody = "/no/such/" + std::to_string(t);
                bzd_sampler_t *none = nullptr;
                if (bzd_sampler_load(nobody.c_str(), &none) != BZD_FAILED ||
                    std::strstr(bzd_last_error(), nobody.c_str()) == nullptr) {
                    wrong++;
                }
                bzd_sampler_free(own);
            }
        });
    }
    for (auto &thread : threads) thread.join();
    bzd_sampler_free(shared);
    std::printf("%d wrong\n", wrong.load());
    return wrong == 0 ? 0 : 1;
}
