/* Energies and forces of frames of four argon atoms, in bits: evaluate open|callback|concurrent SPEC < frames. */
#include <boltzdrift.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Passes frames on to another potential of the library, one by one: a callback that calls back. */
static int32_t pass_on(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                       const double *positions, const double *cells, double *energies, double *forces) {
    bzd_potential_t *inner = NULL;
    if (cells != NULL || bzd_potential_open(user_data, &inner) != BZD_OK) {
        return 1;
    }
    int32_t status = 0;
    for (size_t k = 0; k < n_systems && status == 0; k++) {
        status = bzd_potential_evaluate(inner, 1, n_atoms, species, positions + 3 * n_atoms * k, energies + k,
                                        forces + 3 * n_atoms * k);
    }
    bzd_potential_free(inner);
    return status;
}

static void print_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    printf("%016" PRIx64 "\n", bits);
}

int main(int argc, char **argv) {
    enum { ATOMS = 4, MOST = 1000 };
    static double x[MOST * 3 * ATOMS], e[MOST], f[MOST * 3 * ATOMS];
    const int32_t species[ATOMS] = {18, 18, 18, 18};
    if (argc != 3) {
        return 2;
    }
    size_t numbers = 0;
    uint64_t bits;
    while (numbers < sizeof x / sizeof *x && scanf("%" SCNx64, &bits) == 1) {
        memcpy(&x[numbers++], &bits, sizeof bits);
    }
    size_t frames = numbers / (3 * ATOMS);
    bzd_potential_t *potential = NULL;
    bzd_status_t status;
    if (strcmp(argv[1], "open") == 0) {
        status = bzd_potential_open(argv[2], &potential);
    } else {
        bzd_potential_desc description;
        memset(&description, 0, sizeof description);
        description.struct_size = sizeof description;
        description.evaluate = pass_on;
        description.user_data = argv[2];
        description.name = "passed on";
        description.flags = strcmp(argv[1], "concurrent") == 0 ? BZD_CONCURRENT : 0;
        status = bzd_potential_from_callback(&description, &potential);
    }
    if (status != BZD_OK || bzd_potential_evaluate(potential, frames, ATOMS, species, x, e, f) != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        return 1;
    }
    for (size_t k = 0; k < frames; k++) {
        print_bits(e[k]);
        for (size_t i = 0; i < 3 * ATOMS; i++) {
            print_bits(f[3 * ATOMS * k + i]);
        }
    }
    bzd_potential_free(potential);
    return 0;
}
