/* What the examples share: a check of each call, and a water molecule held together by three springs.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program where a call fails. */
#define CALL(call)                                                                                                    \
    do {                                                                                                              \
        if ((call) != BZD_OK) {                                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, bzd_last_error());                                     \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* Ends the program where something is not so. */
#define TRUE(condition)                                                                                               \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                   \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

enum { ATOMS = 3 };
static const int32_t WATER[ATOMS] = {8, 1, 1};

/* Energy k (r - r0)^2 of every pair, k = 300 kcal/mol/angstrom^2. */
static inline int32_t springs(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                       const double *positions, const double *cells, double *energies, double *forces) {
    static const int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    static const double lengths[3] = {0.96, 0.96, 1.52};
    (void)user_data;
    (void)cells;
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double *f = forces + 3 * n_atoms * k;
        if (n_atoms != ATOMS || species[0] != 8) {
            return 7; /* comes back from bzd_last_potential_status */
        }
        memset(f, 0, 3 * n_atoms * sizeof *f);
        energies[k] = 0.0;
        for (int p = 0; p < 3; p++) {
            const double *a = x + 3 * pairs[p][0], *b = x + 3 * pairs[p][1];
            double d[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
            double r = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), off = r - lengths[p];
            energies[k] += 300.0 * off * off;
            for (int c = 0; c < 3; c++) {
                f[3 * pairs[p][0] + c] -= 600.0 * off * d[c] / r;
                f[3 * pairs[p][1] + c] += 600.0 * off * d[c] / r;
            }
        }
    }
    return 0;
}

/* The potential above, as the library takes it. */
static inline bzd_potential_t *water_potential(void) {
    bzd_potential_desc description;
    bzd_potential_t *potential = NULL;
    memset(&description, 0, sizeof description);
    description.struct_size = sizeof description;
    description.evaluate = springs;
    description.name = "three springs";
    CALL(bzd_potential_from_callback(&description, &potential));
    return potential;
}

/* `frames` distorted molecules, (frames, 3, 3) in angstrom. To be freed by the caller. */
static inline double *distorted_water(size_t frames) {
    static const double water[9] = {0, 0, 0, 0.76, 0.5865, 0, -0.76, 0.5865, 0};
    double *x = malloc(9 * frames * sizeof *x);
    uint32_t state = 1;
    TRUE(x != NULL);
    for (size_t i = 0; i < 9 * frames; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = water[i % 9] + 0.12 * ((double)state / 4294967296.0 - 0.5);
    }
    return x;
}

#endif
