// From a C++ potential to refined seeds without a file but the sampler's own: pipeline OUT.safetensors
// Three springs between oxygen and two hydrogens; prints what failed and returns 1.
#include <boltzdrift.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {
constexpr double stiffness = 300.0, lengths[3] = {0.96, 0.96, 1.52};
constexpr int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
constexpr double kT = 0.001987204259 * 300.0;

std::int32_t springs(void *calls, std::size_t systems, std::size_t atoms, const std::int32_t *,
                     const double *positions, const double *, double *energies, double *forces) {
    ++*static_cast<std::size_t *>(calls);
    for (std::size_t k = 0; k < systems; k++) {
        const double *x = positions + 3 * atoms * k;
        double *f = forces + 3 * atoms * k;
        std::memset(f, 0, 3 * atoms * sizeof *f);
        energies[k] = 0.0;
        for (int p = 0; p < 3; p++) {
            const int i = pairs[p][0], j = pairs[p][1];
            double d[3], r = 0.0;
            for (int c = 0; c < 3; c++) {
                d[c] = x[3 * i + c] - x[3 * j + c];
                r += d[c] * d[c];
            }
            r = std::sqrt(r);
            const double off = r - lengths[p];
            energies[k] += stiffness * off * off;
            for (int c = 0; c < 3; c++) {
                f[3 * i + c] -= 2.0 * stiffness * off * d[c] / r;
                f[3 * j + c] += 2.0 * stiffness * off * d[c] / r;
            }
        }
    }
    return 0;
}

std::int32_t stop_at_once(void *, const bzd_progress_t *progress) {
    return progress->struct_size == sizeof *progress && progress->stage != nullptr ? 1 : 0;
}

std::int32_t go_on(void *stages, const bzd_progress_t *progress) {
    auto &all = *static_cast<std::string *>(stages);
    if (all.find(progress->stage) == std::string::npos) all += progress->stage;
    return 0;
}

void heard(void *lines, std::int32_t, const char *) { ++*static_cast<int *>(lines); }

[[noreturn]] void fail(int line, const char *what) {
    std::fprintf(stderr, "line %d: %s: %s\n", line, what, bzd_last_error());
    std::exit(1);
}
} // namespace

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) fail(__LINE__, #condition);                                                                 \
    } while (0)

int main(int argc, char **argv) {
    CHECK(argc == 2);
    int lines = 0;
    CHECK(bzd_set_log(heard, &lines, 3) == BZD_OK && bzd_set_log(heard, &lines, 9) == BZD_INVALID);
    const std::int32_t species[3] = {8, 1, 1};
    const std::size_t frames = 400;
    std::vector<double> x;
    unsigned state = 1;
    auto random = [&state] {
        state = state * 1664525u + 1013904223u;
        return state / 4294967296.0 - 0.5;
    };
    const double hydrogen = std::sqrt(0.96 * 0.96 - 0.76 * 0.76);
    for (std::size_t k = 0; k < frames; k++) {
        const double water[9] = {0, 0, 0, 0.76, hydrogen, 0, -0.76, hydrogen, 0};
        for (double number : water) x.push_back(number + 0.12 * random());
    }
    bzd_dataset_t *data = nullptr;
    CHECK(bzd_dataset_from_arrays(frames, 3, species, x.data(), nullptr, nullptr, nullptr, &data) == BZD_OK);
    std::size_t n = 0, atoms = 0, calls = 0;
    CHECK(bzd_dataset_size(data, &n, &atoms) == BZD_OK && n == frames && atoms == 3);
    std::vector<double> forces(9 * frames), energies(frames);
    CHECK(bzd_dataset_forces(data, forces.data(), forces.size()) == BZD_UNSUPPORTED);

    bzd_potential_desc description = {};
    description.struct_size = sizeof description;
    description.evaluate = springs;
    description.user_data = &calls;
    description.name = "three springs";
    bzd_potential_t *potential = nullptr;
    CHECK(bzd_potential_from_callback(&description, &potential) == BZD_OK);
    std::string stages;
    CHECK(bzd_dataset_label(data, potential, stop_at_once, nullptr) == BZD_INTERRUPTED);
    CHECK(bzd_dataset_label(data, potential, go_on, &stages) == BZD_OK && calls == 2); // what the first had done is kept
    CHECK(bzd_dataset_forces(data, forces.data(), forces.size()) == BZD_OK);
    CHECK(bzd_dataset_energies(data, energies.data(), energies.size()) == BZD_OK);
    char *json = nullptr;
    CHECK(bzd_dataset_inspect(data, 300.0, &json) == BZD_OK && std::strstr(json, "\"bonds\"") != nullptr);
    bzd_string_free(json);

    // Equilibrated: three harmonic modes have 3/2 kT.
    bzd_dataset_t *states = nullptr;
    CHECK(bzd_equilibrate(data, potential, nullptr, nullptr, nullptr, &states, nullptr) == BZD_INVALID);
    CHECK(bzd_equilibrate(data, potential, "{\"temperature\": 300, \"chian\": 2}", nullptr, nullptr, &states, nullptr) ==
          BZD_INVALID);
    CHECK(std::strstr(bzd_last_error(), "chian") != nullptr);
    CHECK(bzd_equilibrate(data, potential, "{\"temperature\": 300, \"frames\": 4000, \"effective\": 2000}", go_on, &stages,
                          &states, &json) == BZD_OK);
    CHECK(std::strstr(json, "\"converged\":true") != nullptr);
    bzd_string_free(json);
    std::vector<double> pool(4000);
    CHECK(bzd_dataset_energies(states, pool.data(), pool.size()) == BZD_OK);
    double mean = 0.0;
    for (double e : pool) mean += e / 4000.0;
    CHECK(std::fabs(mean / kT - 1.5) < 0.12);

    bzd_potential_t *field = nullptr;
    bzd_sampler_t *sampler = nullptr;
    if (bzd_can_train() == 0) {
        CHECK(bzd_fit(data, nullptr, nullptr, nullptr, &field) == BZD_UNSUPPORTED && field == nullptr);
        CHECK(bzd_train(states, nullptr, nullptr, nullptr, &sampler) == BZD_UNSUPPORTED && sampler == nullptr);
    } else {
        bzd_dataset_t *bare = nullptr;
        CHECK(bzd_dataset_from_arrays(frames, 3, species, x.data(), nullptr, nullptr, nullptr, &bare) == BZD_OK);
        CHECK(bzd_fit(bare, nullptr, nullptr, nullptr, &field) == BZD_INVALID && field == nullptr);
        const char *said = "the frames from arrays: there are no forces";
        CHECK(std::strncmp(bzd_last_error(), said, std::strlen(said)) == 0);
        bzd_dataset_free(bare);
        CHECK(bzd_fit(data, "{\"frames\": 60, \"sigma\": 10, \"ridge\": 1e-9}", go_on, &stages, &field) == BZD_OK);
        std::vector<double> e(frames), f(9 * frames);
        CHECK(bzd_potential_evaluate(field, frames, 3, species, x.data(), e.data(), f.data()) == BZD_OK);
        double off = 0.0, size = 0.0;
        for (std::size_t i = 0; i < f.size(); i++) {
            off += (f[i] - forces[i]) * (f[i] - forces[i]);
            size += forces[i] * forces[i];
        }
        CHECK(off < 1e-4 * size);
        CHECK(bzd_potential_save(potential, "none.npz") == BZD_UNSUPPORTED);
        CHECK(bzd_train(states, "{\"steps\": 5, \"widht\": 3}", nullptr, nullptr, &sampler) == BZD_INVALID);
        CHECK(bzd_train(states, "{\"steps\": 5, \"feature_cache\": \"here\"}", nullptr, nullptr, &sampler) == BZD_INVALID);
        CHECK(std::strstr(bzd_last_error(), "feature_cache is for") != nullptr);
        const char *small = "{\"temperature\": 300, \"steps\": 400, \"width\": 48, \"depth\": 2, \"noise\": 8, \"batch\": 128,"
                            " \"device\": \"cpu\"}";
        CHECK(bzd_train(states, small, stop_at_once, nullptr, &sampler) == BZD_INTERRUPTED && sampler == nullptr);
        CHECK(bzd_train(states, small, go_on, &stages, &sampler) == BZD_OK);
        CHECK(bzd_sampler_save(sampler, argv[1]) == BZD_OK);
        CHECK(bzd_sampler_info(sampler, &json) == BZD_OK && std::strstr(json, "figures") != nullptr);
        bzd_string_free(json);
        std::vector<double> seeds(9 * 500), after(500);
        CHECK(bzd_sampler_refined(sampler, potential, 1, 0, 500, "{\"steps\": 30}", stop_at_once, nullptr, seeds.data(), seeds.size(), after.data(),
                                  nullptr) == BZD_INTERRUPTED);
        CHECK(bzd_sampler_refined(sampler, potential, 1, 0, 500, "{\"steps\": 30}", go_on, &stages, seeds.data(), seeds.size(), after.data(),
                                  &json) == BZD_OK);
        CHECK(std::strstr(json, "acceptance") != nullptr);
        bzd_string_free(json);
        mean = 0.0;
        for (double energy : after) mean += energy / 500.0;
        CHECK(std::fabs(mean / kT - 1.5) < 0.3);
        bzd_dataset_t *drawn = nullptr;
        CHECK(bzd_dataset_from_arrays(500, 3, species, seeds.data(), nullptr, after.data(), nullptr, &drawn) == BZD_OK);
        CHECK(bzd_evaluate(drawn, states, &json) == BZD_OK && std::strstr(json, "tvd") != nullptr);
        bzd_string_free(json);
        bzd_dataset_free(drawn);
        for (const char *stage : {"labeling", "equilibrating", "fitting", "training", "refining"}) {
            CHECK(stages.find(stage) != std::string::npos);
        }
    }
    CHECK(bzd_set_log(nullptr, nullptr, 0) == BZD_OK);
    bzd_sampler_free(sampler);
    bzd_potential_free(field);
    bzd_potential_free(potential);
    bzd_dataset_free(states);
    bzd_dataset_free(data);
    return 0;
}
