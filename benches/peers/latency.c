/* Seconds of a call of the C interface, one number a line: latency MODEL SAMPLES ROUNDS. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "boltzdrift.h"

/* Calls of a round. */
enum { CALLS = 50 };

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void need(bzd_status_t status)
{
    if (status != BZD_OK) {
        fprintf(stderr, "%s\n", bzd_last_error());
        exit(1);
    }
}

int main(int argc, char **argv)
{
    bzd_sampler_t *sampler = NULL;
    size_t atoms = 0;
    if (argc != 4) {
        fputs("usage: latency MODEL SAMPLES ROUNDS\n", stderr);
        return 2;
    }
    need(bzd_sampler_load(argv[1], &sampler));
    need(bzd_sampler_atoms(sampler, &atoms));
    const size_t samples = strtoul(argv[2], NULL, 10), length = samples * 3 * atoms;
    const long rounds = strtol(argv[3], NULL, 10);
    double *positions = malloc(length * sizeof *positions);
    if (positions == NULL) {
        return 1;
    }
    /* The first round warms up. */
    for (long round = -1; round < rounds; ++round) {
        const double start = now();
        for (unsigned call = 0; call < CALLS; ++call) {
            need(bzd_sampler_sample(sampler, 0, call, samples, positions, length));
        }
        if (round >= 0) {
            printf("%.9f\n", (now() - start) / CALLS);
        }
    }
    free(positions);
    bzd_sampler_free(sampler);
    return 0;
}
