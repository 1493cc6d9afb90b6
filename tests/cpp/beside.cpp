// A program that uses OpenBLAS and libtorch itself, before, between and after calls of the library: beside MODEL
// Its own numbers stay right, and so do its numbers of threads.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <boltzdrift.h>
#include <cblas.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" int openblas_get_num_threads(void);
extern "C" void openblas_set_num_threads(int);

static void own_work(int line) {
    // Row k of A is k, B is all ones: C = n k.
    const int n = 64;
    std::vector<double> a(n * n), b(n * n, 1.0), c(n * n);
    for (int k = 0; k < n * n; k++) a[static_cast<std::size_t>(k)] = k / n;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0, a.data(), n, b.data(), n, 0.0, c.data(), n);
    const at::Tensor ones = at::ones({n, n}, at::kDouble);
    const at::Tensor product = at::matmul(at::arange(n, at::kDouble).unsqueeze(1).expand({n, n}), ones);
    for (int k = 0; k < n * n; k++) {
        const double wanted = n * (k / n);
        if (c[static_cast<std::size_t>(k)] != wanted || product.data_ptr<double>()[k] != wanted) {
            std::fprintf(stderr, "line %d: element %d is wrong\n", line, k);
            std::exit(1);
        }
    }
    if (openblas_get_num_threads() != 2 || at::get_num_threads() != 1) {
        std::fprintf(stderr, "line %d: %d and %d threads\n", line, openblas_get_num_threads(), at::get_num_threads());
        std::exit(1);
    }
}

#define CALL(call)                                                                                                    \
    if ((call) != BZD_OK) {                                                                                           \
        std::fprintf(stderr, "line %d: %s\n", __LINE__, bzd_last_error());                                            \
        return 1;                                                                                                     \
    }                                                                                                                 \
    own_work(__LINE__)

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    openblas_set_num_threads(2);
    at::set_num_threads(1);
    at::manual_seed(5);
    own_work(__LINE__);
    const std::int32_t species[3] = {8, 1, 1};
    std::vector<double> x;
    unsigned state = 1;
    for (std::size_t k = 0; k < 9 * 400; k++) {
        const double water[9] = {0, 0, 0, 0.76, 0.5865, 0, -0.76, 0.5865, 0};
        state = state * 1664525u + 1013904223u;
        x.push_back(water[k % 9] + 0.1 * (state / 4294967296.0 - 0.5));
    }
    bzd_dataset_t *data = nullptr;
    bzd_sampler_t *sampler = nullptr;
    CALL(bzd_dataset_from_arrays(400, 3, species, x.data(), nullptr, nullptr, nullptr, &data));
    CALL(bzd_train(data, "{\"temperature\": 300, \"steps\": 50, \"width\": 32, \"depth\": 2, \"device\": \"cpu\"}", nullptr, nullptr,
                   &sampler));
    CALL(bzd_sampler_sample(sampler, 1, 0, 100, x.data(), 900));
    CALL(bzd_sampler_save(sampler, argv[1]));
    bzd_sampler_free(sampler);
    bzd_dataset_free(data);
    // The library drew nothing from this program's generator: 5 is its seed still.
    const at::Tensor drawn = at::rand({4}, at::kDouble);
    at::manual_seed(5);
    if (!at::equal(drawn, at::rand({4}, at::kDouble))) {
        std::fprintf(stderr, "libtorch's generator was used\n");
        return 1;
    }
    own_work(__LINE__);
    std::puts("ok");
    return 0;
}
