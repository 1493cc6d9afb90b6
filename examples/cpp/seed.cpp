// Draws structures with velocities from a sampler and prints them as extended XYZ.
//
//   ./seed molecule.safetensors 10 300
#include <boltzdrift.hpp>

#include <cstdio>
#include <string>

int main(int argc, char **argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: %s MODEL COUNT KELVIN\n", argv[0]);
        return 2;
    }
    try {
        const auto sampler = boltzdrift::Sampler::load(argv[1]);
        const std::size_t atoms = sampler.atoms(), count = std::stoul(argv[2]);
        const boltzdrift::Samples ours{/* seed */ 0, /* first */ 0, count};
        const auto species = sampler.species();
        const auto x = sampler.sample(ours);
        const auto v = sampler.velocities(ours, std::stod(argv[3]), x);
        for (std::size_t k = 0; k < count; k++) {
            std::printf("%zu\nProperties=Z:I:1:pos:R:3:velo:R:3\n", atoms);
            for (std::size_t a = 0; a < atoms; a++) {
                const double *r = &x[3 * (k * atoms + a)], *w = &v[3 * (k * atoms + a)];
                std::printf("%d %.17g %.17g %.17g %.17g %.17g %.17g\n", int(species[a]), r[0], r[1], r[2], w[0], w[1], w[2]);
            }
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
