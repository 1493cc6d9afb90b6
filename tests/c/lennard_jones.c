/* Energies and forces of frames of four argon atoms, in bits, by the Lennard-Jones example as a callback that is compiled
 * into the program: lennard_jones OPTIONS < frames. */
#include "../../examples/potentials/lennard_jones.c"
#include <inttypes.h>

int main(int argc, char **argv) {
    enum { ATOMS = 4, MOST = 1000 };
    static double x[MOST * 3 * ATOMS], e[MOST], f[MOST * 3 * ATOMS];
    const int32_t species[ATOMS] = {18, 18, 18, 18};
    char message[256] = "";
    size_t numbers = 0;
    uint64_t bits;
    bzd_potential_t *potential = NULL;
    bzd_potential_desc description = {0};
    description.struct_size = sizeof description;
    if (argc != 2 || bzd_plugin_open(BZD_PLUGIN_ABI_VERSION, argv[1], &description, message, sizeof message) != 0) {
        fprintf(stderr, "%s\n", message);
        return 2;
    }
    while (numbers < sizeof x / sizeof *x && scanf("%" SCNx64, &bits) == 1) {
        memcpy(&x[numbers++], &bits, sizeof bits);
    }
    size_t frames = numbers / (3 * ATOMS);
    if (bzd_potential_from_callback(&description, &potential) != BZD_OK ||
        bzd_potential_evaluate(potential, frames, ATOMS, species, x, e, f) != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        return 1;
    }
    for (size_t k = 0; k < frames; k++) {
        memcpy(&bits, &e[k], sizeof bits);
        printf("%016" PRIx64 "\n", bits);
        for (size_t i = 3 * ATOMS * k; i < 3 * ATOMS * (k + 1); i++) {
            memcpy(&bits, &f[i], sizeof bits);
            printf("%016" PRIx64 "\n", bits);
        }
    }
    bzd_potential_free(potential);
    return 0;
}
