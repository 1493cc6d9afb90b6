// Faults of a caller's potential, as a C callback and as a plug-in: each is an error that names its frame, loses nothing and
// harms nothing. faults MODEL PLUGIN.so FOLDER. Prints what failed and returns 1.
#include <boltzdrift.h>
#include <dlfcn.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

std::string model, plugin, folder;
const std::int32_t species[3] = {8, 1, 1};
constexpr std::size_t frames = 50;

[[noreturn]] void fail(int line, const char *what) {
    std::fprintf(stderr, "line %d: %s: %s\n", line, what, bzd_last_error());
    std::exit(1);
}
#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) fail(__LINE__, #condition);                                                                 \
    } while (0)

bool says(const char *words) { return std::strstr(bzd_last_error(), words) != nullptr; }

std::vector<double> positions() {
    std::vector<double> x;
    for (std::size_t k = 0; k < 9 * frames; k++) x.push_back(std::sin(static_cast<double>(k)));
    return x;
}

/// The faulty potential, compiled into this program or out of the library.
bzd_potential_t *open(bool from_library, const std::string &options) {
    bzd_potential_t *potential = nullptr;
    if (from_library) {
        CHECK(bzd_potential_open(("plugin:" + plugin + ":" + options).c_str(), &potential) == BZD_OK);
        return potential;
    }
    bzd_potential_desc description = {};
    char message[256];
    description.struct_size = sizeof description;
    CHECK(bzd_plugin_open(BZD_PLUGIN_ABI_VERSION, options.c_str(), &description, message, sizeof message) == 0);
    CHECK(bzd_potential_from_callback(&description, &potential) == BZD_OK);
    return potential;
}

void named(bool library, const char *fault, std::int32_t status, const char *words) {
    const auto x = positions();
    std::vector<double> e(frames), f(9 * frames);
    bzd_dataset_t *data = nullptr;
    CHECK(bzd_dataset_from_arrays(frames, 3, species, x.data(), nullptr, nullptr, nullptr, &data) == BZD_OK);
    const std::string options = std::string(fault) + ":37:";
    // Alone, and where the frames of a dataset are labelled: it is as it was.
    bzd_potential_t *potential = open(library, options);
    CHECK(bzd_potential_evaluate(potential, frames, 3, species, x.data(), e.data(), f.data()) == BZD_POTENTIAL);
    CHECK(says("frame 37") && says("faulty") && says(words));
    CHECK(bzd_last_potential_status() == status);
    for (std::size_t k = 0; k < 37; k++) CHECK(std::isfinite(e[k]));
    bzd_potential_free(potential);
    potential = open(library, options);
    CHECK(bzd_dataset_label(data, potential, nullptr, nullptr) == BZD_POTENTIAL && says("frame 37") && says(words));
    CHECK(bzd_dataset_energies(data, e.data(), e.size()) == BZD_UNSUPPORTED);
    std::vector<double> kept(x.size());
    CHECK(bzd_dataset_positions(data, kept.data(), kept.size()) == BZD_OK && kept == x);
    // Other work goes on: equilibration ends with the same error, and nothing in its place.
    bzd_dataset_t *states = nullptr;
    CHECK(bzd_equilibrate(data, potential, "{\"temperature\": 300, \"check_bonds\": false}", nullptr, nullptr, &states,
                          nullptr) != BZD_OK &&
          states == nullptr);
    bzd_potential_free(potential);
    potential = open(library, "none:0:");
    CHECK(bzd_dataset_label(data, potential, nullptr, nullptr) == BZD_OK);
    bzd_potential_free(potential);
    bzd_dataset_free(data);
}

/// It calls the library itself, from inside a call.
void back(bool library) {
    const auto x = positions();
    std::vector<double> e(frames), f(9 * frames);
    bzd_potential_t *potential = open(library, "back:0:" + model);
    CHECK(bzd_potential_evaluate(potential, frames, 3, species, x.data(), e.data(), f.data()) == BZD_OK);
    for (std::size_t k = 0; k < 9 * frames; k++) CHECK(f[k] == -2.0 * x[k]);
    bzd_potential_free(potential);
}

/// It blocks in one thread; another one samples, labels and fails meanwhile.
void block(bool library) {
    const std::string gate = folder + (library ? "/gate-1" : "/gate-0");
    const auto x = positions();
    std::vector<double> e(frames), f(9 * frames), drawn(9 * 5000);
    bzd_potential_t *potential = open(library, "block:11:" + gate);
    std::atomic<bzd_status_t> status{-1};
    std::thread blocked([&] {
        status = bzd_potential_evaluate(potential, frames, 3, species, x.data(), e.data(), f.data());
    });
    bzd_sampler_t *sampler = nullptr;
    CHECK(bzd_sampler_load(model.c_str(), &sampler) == BZD_OK);
    for (std::uint64_t k = 0; k < 20; k++) {
        CHECK(bzd_sampler_sample(sampler, k, 0, 5000, drawn.data(), drawn.size()) == BZD_OK);
    }
    bzd_sampler_free(sampler);
    named(library, "nan", 0, "not finite");
    CHECK(status == -1);
    std::ofstream(gate).put('x');
    blocked.join();
    CHECK(status == BZD_OK && e[49] > 0.0);
    bzd_potential_free(potential);
}

/// The library is closed by others, its file is taken away, another potential of it is freed: it stays until its last
/// potential is gone.
void unload() {
    const auto x = positions();
    std::vector<double> e(frames), f(9 * frames);
    const std::string copy = folder + "/copy.so";
    std::ofstream(copy, std::ios::binary) << std::ifstream(plugin, std::ios::binary).rdbuf();
    void *own = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
    CHECK(own != nullptr);
    bzd_potential_t *first = nullptr, *second = nullptr, *third = nullptr;
    const std::string spec = "plugin:" + copy + ":none:0:";
    CHECK(bzd_potential_open(spec.c_str(), &first) == BZD_OK && bzd_potential_open(spec.c_str(), &second) == BZD_OK);
    CHECK(dlclose(own) == 0);
    CHECK(std::remove(copy.c_str()) == 0);
    bzd_potential_free(first);
    CHECK(bzd_potential_evaluate(second, frames, 3, species, x.data(), e.data(), f.data()) == BZD_OK && f[3] == -2.0 * x[3]);
    CHECK(bzd_potential_open(spec.c_str(), &third) == BZD_FAILED && third == nullptr && says("copy.so"));
    bzd_potential_free(second);
    // Refused options leave nothing behind, however often.
    for (int k = 0; k < 100; k++) {
        CHECK(bzd_potential_open(("plugin:" + plugin + ":nonsense").c_str(), &third) == BZD_INVALID && third == nullptr);
        CHECK(says("give FAULT:FRAME:FILE"));
    }
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 4);
    model = argv[1], plugin = argv[2], folder = argv[3];
    for (const bool library : {false, true}) {
        named(library, "fail", 9, "as it was told");
        named(library, "nan", 0, "force on atom 1 is not finite");
        named(library, "few", 0, "without its energy or all of its forces");
        back(library);
        block(library);
    }
    unload();
    std::puts("ok");
    return 0;
}
