/* A plug-in potential: Lennard-Jones between all atoms.
 *
 *   cc -std=c99 -O2 -shared -fPIC -Iinclude examples/potentials/lennard_jones.c -o liblennard_jones.so -lm
 *   boltzdrift label cluster.xyz -o labelled.npz --potential plugin:./liblennard_jones.so:epsilon=0.2381,sigma=1.96
 *
 * Options: epsilon in kcal/mol and sigma in angstrom, as NAME=NUMBER with commas between.
 */
#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parameters {
    double epsilon, sigma;
    char message[128];
};

static int32_t evaluate(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                        const double *positions, const double *cells, double *energies, double *forces) {
    struct parameters *p = user_data;
    (void)species;
    if (cells != NULL) {
        snprintf(p->message, sizeof p->message, "periodic cells are not for this potential");
        return 1;
    }
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double *f = forces + 3 * n_atoms * k, energy = 0.0;
        memset(f, 0, 3 * n_atoms * sizeof *f);
        for (size_t i = 0; i < n_atoms; i++) {
            for (size_t j = 0; j < i; j++) {
                double d[3], square = 0.0;
                for (size_t c = 0; c < 3; c++) {
                    d[c] = x[3 * i + c] - x[3 * j + c];
                    square += d[c] * d[c];
                }
                if (square == 0.0) {
                    snprintf(p->message, sizeof p->message, "atoms %zu and %zu coincide", j, i);
                    return 2; /* this system has no energy yet: the library names its frame */
                }
                double s6 = pow(p->sigma * p->sigma / square, 3.0);
                energy += 4.0 * p->epsilon * s6 * (s6 - 1.0);
                double over_square = 24.0 * p->epsilon * s6 * (2.0 * s6 - 1.0) / square;
                for (size_t c = 0; c < 3; c++) {
                    f[3 * i + c] += over_square * d[c];
                    f[3 * j + c] -= over_square * d[c];
                }
            }
        }
        energies[k] = energy;
    }
    return 0;
}

static const char *last_error(void *user_data) { return ((struct parameters *)user_data)->message; }

int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *potential, char *message,
                        size_t message_size) {
    struct parameters given = {0.0, 0.0, ""};
    if (abi != BZD_PLUGIN_ABI_VERSION) {
        snprintf(message, message_size, "written for plug-in ABI %d", BZD_PLUGIN_ABI_VERSION);
        return 1;
    }
    if (sscanf(options, "epsilon=%lf,sigma=%lf", &given.epsilon, &given.sigma) != 2 || !(given.epsilon > 0.0) ||
        !(given.sigma > 0.0)) {
        snprintf(message, message_size, "give epsilon=NUMBER,sigma=NUMBER in kcal/mol and angstrom");
        return 2;
    }
    struct parameters *own = malloc(sizeof *own);
    if (own == NULL) {
        snprintf(message, message_size, "out of memory");
        return 3;
    }
    *own = given;
    potential->evaluate = evaluate;
    potential->last_error = last_error;
    potential->destroy = free;
    potential->user_data = own;
    potential->name = "Lennard-Jones";
    potential->flags = BZD_IN_ORDER; /* system after system, the energy last */
    return 0;
}
