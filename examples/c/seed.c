/* Draws structures with velocities from a sampler and prints them as extended XYZ.
 *
 *   cc -std=c99 -Iinclude examples/c/seed.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -o seed
 *   ./seed molecule.safetensors 10 300
 */
#include <boltzdrift.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, bzd_last_error());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL COUNT KELVIN\n", argv[0]);
        return 2;
    }
    if (bzd_abi_version() != BZD_ABI_VERSION) {
        fprintf(stderr, "built for ABI %d, loaded %u\n", BZD_ABI_VERSION, (unsigned)bzd_abi_version());
        return 2;
    }
    bzd_sampler_t *sampler = NULL;
    if (bzd_sampler_load(argv[1], &sampler) != BZD_OK) {
        return fail("load");
    }
    size_t atoms = 0;
    size_t count = (size_t)strtoul(argv[2], NULL, 10);
    double kelvin = strtod(argv[3], NULL);
    if (bzd_sampler_atoms(sampler, &atoms) != BZD_OK) {
        return fail("atoms");
    }
    size_t length = count * atoms * 3;
    int32_t *species = malloc(atoms * sizeof *species);
    double *x = malloc((length + 1) * sizeof *x);
    double *v = malloc((length + 1) * sizeof *v);
    int status = 1;
    if (species == NULL || x == NULL || v == NULL) {
        fprintf(stderr, "out of memory\n");
    } else if (bzd_sampler_species(sampler, species, atoms) != BZD_OK) {
        fail("species");
    } else if (bzd_sampler_sample(sampler, 0, 0, count, x, length) != BZD_OK) {
        fail("sample");
    } else if (bzd_sampler_velocities(sampler, 0, 0, kelvin, x, v, length) != BZD_OK) {
        fail("velocities");
    } else {
        for (size_t k = 0; k < count; k++) {
            printf("%lu\nProperties=Z:I:1:pos:R:3:velo:R:3\n", (unsigned long)atoms);
            for (size_t a = 0; a < atoms; a++) {
                const double *r = x + 3 * (k * atoms + a), *w = v + 3 * (k * atoms + a);
                printf("%d %.17g %.17g %.17g %.17g %.17g %.17g\n", (int)species[a], r[0], r[1], r[2], w[0], w[1], w[2]);
            }
        }
        status = 0;
    }
    free(species);
    free(x);
    free(v);
    bzd_sampler_free(sampler);
    return status;
}
