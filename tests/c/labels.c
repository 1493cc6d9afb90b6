/* Labels that are cut off and go on: labels FOLDER FAULT FRAME.
 *
 * The springs E = x^2 label the frames of FOLDER/data.npz and write down every frame that they compute in FOLDER/log. At frame
 * FRAME, counted as in the file, they fail ("fail"), end the process ("kill"), or do nothing of that kind ("none"). The labels go
 * to FOLDER/out.npz, or with the fault "memory" through memory: the potential fails once at FRAME, what is done goes to
 * FOLDER/part.npz, and the same call goes on. A call that fails prints status and message, and the program returns 3.
 */
#include <boltzdrift.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct springs {
    const char *fault;
    long frame;
    FILE *log;
};

/* Frame k of the file has its first atom at 1 + k / 100. */
static long number(const double *x) { return (long)(100.0 * (x[0] - 1.0) + 0.5); }

static int32_t evaluate(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species,
                        const double *positions, const double *cells, double *energies, double *forces) {
    struct springs *own = user_data;
    (void)species, (void)cells;
    for (size_t k = 0; k < n_systems; k++) {
        const double *x = positions + 3 * n_atoms * k;
        double energy = 0.0;
        if (number(x) == own->frame && strcmp(own->fault, "none") != 0) {
            if (strcmp(own->fault, "kill") == 0) {
                raise(SIGKILL);
            }
            if (strcmp(own->fault, "memory") == 0) {
                own->fault = "none";
            }
            return 9;
        }
        fprintf(own->log, "%ld\n", number(x));
        fflush(own->log);
        for (size_t i = 0; i < 3 * n_atoms; i++) {
            energy += x[i] * x[i];
            forces[3 * n_atoms * k + i] = -2.0 * x[i];
        }
        energies[k] = energy;
    }
    return 0;
}

static int said(bzd_status_t status) {
    if (status == BZD_OK) {
        return 0;
    }
    printf("%d %d %s\n", (int)status, (int)bzd_last_potential_status(), bzd_last_error());
    return 3;
}

static char *in(const char *folder, const char *name) {
    static char path[3][1024];
    static int next = 0;
    next = (next + 1) % 3;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 1;
    }
    struct springs own = {argv[2], atol(argv[3]), fopen(in(argv[1], "log"), "a")};
    bzd_dataset_t *data = NULL, *done = NULL;
    bzd_potential_t *potential = NULL;
    bzd_potential_desc description = {0};
    description.struct_size = sizeof description;
    description.evaluate = evaluate;
    description.user_data = &own;
    description.name = "springs";
    description.flags = BZD_IN_ORDER;
    if (own.log == NULL || bzd_dataset_read(in(argv[1], "data.npz"), NULL, NULL, NULL, &data) != BZD_OK ||
        bzd_potential_from_callback(&description, &potential) != BZD_OK) {
        return said(BZD_FAILED);
    }
    int result = 0;
    if (strcmp(own.fault, "memory") == 0) {
        /* Nothing is kept before, nor after the end. */
        result = bzd_dataset_labelled(data, potential, &done) != BZD_UNSUPPORTED;
        said(bzd_dataset_label(data, potential, NULL, NULL));
        result = result || said(bzd_dataset_labelled(data, potential, &done)) ||
                 said(bzd_dataset_write(done, in(argv[1], "part.npz"))) ||
                 said(bzd_dataset_label(data, potential, NULL, NULL)) ||
                 said(bzd_dataset_write(data, in(argv[1], "out.npz")));
        bzd_dataset_free(done);
        result = result || bzd_dataset_labelled(data, potential, &done) != BZD_UNSUPPORTED;
    } else {
        char *report = NULL;
        result = said(bzd_dataset_label_to(data, potential, in(argv[1], "out.npz"), "{\"batch\": 16}", NULL, NULL, &report));
        if (result == 0) {
            printf("%s\n", report);
        }
        bzd_string_free(report);
    }
    bzd_potential_free(potential);
    bzd_dataset_free(data);
    fclose(own.log);
    return result;
}
