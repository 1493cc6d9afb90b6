/* What a call of a potential through the library costs beyond the potential itself.
 *
 *   cc -std=c11 -O2 -Iinclude examples/potentials/overhead.c -Ltarget/release -lboltzdrift \
 *      -Wl,-rpath,target/release -lm -o overhead && ./overhead
 *
 * Springs between all pairs of nine atoms: called directly, and as a callback, in batches of 1 and of 256.
 */
#define _POSIX_C_SOURCE 199309L
#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ATOMS = 9, LARGEST = 256, SIZE = 3 * ATOMS };

static int32_t springs(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                       const double *positions, const double *cells, double *energies, double *forces) {
    (void)user_data, (void)species, (void)cells;
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double *f = forces + 3 * n_atoms * k;
        energies[k] = 0.0;
        for (size_t i = 0; i < 3 * n_atoms; i++) {
            f[i] = 0.0;
        }
        for (size_t i = 0; i < n_atoms; i++) {
            for (size_t j = 0; j < i; j++) {
                for (size_t c = 0; c < 3; c++) {
                    double d = x[3 * i + c] - x[3 * j + c];
                    energies[k] += d * d;
                    f[3 * i + c] -= 2.0 * d;
                    f[3 * j + c] += 2.0 * d;
                }
            }
        }
    }
    return 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
    static double x[LARGEST * SIZE], e[LARGEST], f[LARGEST * SIZE];
    const int32_t species[ATOMS] = {6, 6, 8, 1, 1, 1, 1, 1, 1};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        x[i] = sin((double)i);
    }
    bzd_potential_desc description = {0};
    description.struct_size = sizeof description;
    description.evaluate = springs;
    bzd_potential_t *potential = NULL;
    if (bzd_potential_from_callback(&description, &potential) != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        return 1;
    }
    const size_t batches[] = {1, LARGEST};
    for (size_t b = 0; b < 2; b++) {
        size_t batch = batches[b], calls = 400000 / batch;
        double direct = 1e9, through = 1e9;
        for (int round = 0; round < 7; round++) { /* in turn, the best of each: other programs only slow things down */
            double start = now();
            for (size_t k = 0; k < calls; k++) {
                springs(NULL, batch, ATOMS, species, x, NULL, e, f);
            }
            double middle = now();
            for (size_t k = 0; k < calls; k++) {
                if (bzd_potential_evaluate(potential, batch, ATOMS, species, x, e, f) != BZD_OK) {
                    fprintf(stderr, "%s\n", bzd_last_error());
                    return 1;
                }
            }
            double end = now();
            direct = fmin(direct, (middle - start) / (double)(calls * batch));
            through = fmin(through, (end - middle) / (double)(calls * batch));
        }
        printf("batches of %zu: direct %.3f us a frame, through the library %.3f us, overhead %.3f us\n", batch, 1e6 * direct,
               1e6 * through, 1e6 * (through - direct));
    }
    bzd_potential_free(potential);
    return 0;
}
