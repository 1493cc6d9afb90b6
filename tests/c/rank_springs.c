/* A potential for water that fails on rank 1 of an MPI job, after some calls, as long as a file "fail" is there. With the option
 * slow every call takes 20 ms. */
#define _POSIX_C_SOURCE 200809L
#include <boltzdrift.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int calls, slow;

static int32_t evaluate(void *user, size_t frames, size_t atoms, const int32_t *species, const double *positions,
                        const double *cell, double *energies, double *forces) {
    (void)user, (void)species, (void)cell;
    const char *rank = getenv("PMI_RANK");
    if (rank == NULL) rank = getenv("OMPI_COMM_WORLD_RANK");
    if (++calls > 300 && rank != NULL && strcmp(rank, "1") == 0 && access("fail", F_OK) == 0) return 7;
    if (slow) nanosleep(&(struct timespec){0, 20000000}, NULL);
    for (size_t k = 0; k < frames; k++) {
        const double *x = positions + 3 * atoms * k;
        double *f = forces + 3 * atoms * k;
        energies[k] = 0.0;
        for (size_t i = 0; i < 3 * atoms; i++) f[i] = 0.0;
        for (size_t i = 0; i < atoms; i++)
            for (size_t j = 0; j < i; j++) {
                double d[3], r = 0.0;
                for (size_t c = 0; c < 3; c++) d[c] = x[3 * i + c] - x[3 * j + c], r += d[c] * d[c];
                r = sqrt(r);
                double off = r - (i + j == 3 ? 1.53 : 0.97);
                energies[k] += 250.0 * off * off;
                for (size_t c = 0; c < 3; c++) {
                    f[3 * i + c] -= 500.0 * off * d[c] / r;
                    f[3 * j + c] += 500.0 * off * d[c] / r;
                }
            }
    }
    return 0;
}

static const char *last_error(void *user) {
    (void)user;
    return "the electrons did not converge";
}

int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *p, char *message, size_t size) {
    (void)abi, (void)message, (void)size;
    slow = options != NULL && strcmp(options, "slow") == 0;
    p->evaluate = evaluate;
    p->last_error = last_error;
    p->name = "springs";
    return 0;
}
