/* A potential that answers, and fails where it is told to: a plug-in, or compiled into a program.
 *
 * Options: FAULT:FRAME:FILE. From frame FRAME on, counted over all calls, it fails ("fail"), gives NaN ("nan"), leaves the
 * last force unwritten ("few"), draws from the sampler in FILE and asks another potential ("back"), or waits until FILE is
 * there ("block"). "none" answers always: every atom is held by a spring, E = x^2.
 */
#define _POSIX_C_SOURCE 200809L
#include <boltzdrift.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct faulty {
    char fault[16], file[512];
    size_t from, seen;
};

static int32_t springs(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                       const double *positions, const double *cells, double *energies, double *forces) {
    (void)user_data, (void)species, (void)cells;
    for (size_t k = 0; k < n_systems; k++) {
        energies[k] = 0.0;
        for (size_t i = 3 * n_atoms * k; i < 3 * n_atoms * (k + 1); i++) {
            energies[k] += positions[i] * positions[i];
            forces[i] = -2.0 * positions[i];
        }
    }
    return 0;
}

/* Draws, and asks another potential, whose answer is taken. */
static int32_t call_back(const struct faulty *own, size_t n_atoms, const int32_t *species, const double *x, double *e,
                         double *f) {
    bzd_sampler_t *sampler = NULL, *none = NULL;
    bzd_potential_t *inner = NULL;
    bzd_potential_desc description = {0};
    size_t atoms = 0;
    static double drawn[3000];
    description.struct_size = sizeof description;
    description.evaluate = springs;
    int32_t wrong = bzd_sampler_load(own->file, &sampler) != BZD_OK || bzd_sampler_atoms(sampler, &atoms) != BZD_OK ||
                    atoms > 10 || bzd_sampler_sample(sampler, 1, 0, 100, drawn, 300 * atoms) != BZD_OK ||
                    bzd_potential_from_callback(&description, &inner) != BZD_OK ||
                    bzd_potential_evaluate(inner, 1, n_atoms, species, x, e, f) != BZD_OK;
    /* Its failures are those of this thread, and do not reach the call that is under way. */
    wrong = wrong || bzd_sampler_load("/no/such", &none) != BZD_FAILED;
    bzd_potential_free(inner);
    bzd_sampler_free(sampler);
    return wrong;
}

static int32_t wait_for(const char *file) {
    const struct timespec pause = {0, 1000000};
    for (int k = 0; k < 60000; k++) {
        if (access(file, F_OK) == 0) {
            return 0;
        }
        nanosleep(&pause, NULL);
    }
    return 8;
}

static int32_t evaluate(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                        const double *positions, const double *cells, double *energies, double *forces) {
    struct faulty *own = user_data;
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double *e = energies + k, *f = forces + 3 * n_atoms * k;
        int faulty = own->seen++ >= own->from;
        if (faulty && strcmp(own->fault, "fail") == 0) {
            return 9;
        }
        if (faulty && strcmp(own->fault, "block") == 0 && wait_for(own->file) != 0) {
            return 8;
        }
        if (faulty && strcmp(own->fault, "few") == 0) {
            *e = 0.0;
            memset(f, 0, (3 * n_atoms - 1) * sizeof *f);
            continue;
        }
        if (faulty && strcmp(own->fault, "back") == 0) {
            if (call_back(own, n_atoms, species, x, e, f) != 0) {
                return 7;
            }
            continue;
        }
        springs(NULL, 1, n_atoms, species, x, cells, e, f);
        if (faulty && strcmp(own->fault, "nan") == 0) {
            f[4] = NAN;
        }
    }
    return 0;
}

static const char *last_error(void *user_data) {
    (void)user_data;
    return "as it was told";
}

int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *potential, char *message,
                        size_t message_size) {
    struct faulty *own = calloc(1, sizeof *own);
    unsigned long from = 0;
    if (abi != BZD_PLUGIN_ABI_VERSION || own == NULL ||
        sscanf(options, "%15[^:]:%lu:%511[^\n]", own->fault, &from, own->file) < 2) {
        snprintf(message, message_size, "give FAULT:FRAME:FILE");
        free(own);
        return 1;
    }
    own->from = from;
    potential->evaluate = evaluate;
    potential->last_error = last_error;
    potential->destroy = free;
    potential->user_data = own;
    potential->name = "faulty";
    potential->flags = BZD_IN_ORDER;
    return 0;
}
