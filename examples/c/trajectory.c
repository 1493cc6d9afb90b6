/* Frames from arrays, with energies and forces from a potential; to a file and back; looked at and compared.
 *
 *   cc -std=c99 -Iinclude examples/c/trajectory.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o trajectory
 *   ./trajectory water.xyz
 */
#include "example.h"

static int32_t shown(void *user_data, const bzd_progress_t *now) {
    *(uint64_t *)user_data = now->done;
    return 0; /* anything else would stop the call */
}

int main(int argc, char **argv) {
    enum { FRAMES = 200 };
    static double x[9 * FRAMES], f[9 * FRAMES], e[FRAMES], v[9 * FRAMES], masses[ATOMS];
    int32_t species[ATOMS];
    TRUE(argc == 2);
    double *made = distorted_water(FRAMES);
    bzd_dataset_t *frames = NULL, *again = NULL;
    CALL(bzd_dataset_from_arrays(FRAMES, ATOMS, WATER, made, NULL, NULL, NULL, &frames));
    free(made);

    size_t count = 0, atoms = 0;
    uint64_t done = 0;
    CALL(bzd_dataset_size(frames, &count, &atoms));
    TRUE(count == FRAMES && atoms == ATOMS);
    TRUE(bzd_dataset_energies(frames, e, FRAMES) == BZD_UNSUPPORTED);
    bzd_potential_t *potential = water_potential();
    CALL(bzd_dataset_label(frames, potential, shown, &done));
    TRUE(done == FRAMES);
    bzd_potential_free(potential);

    CALL(bzd_dataset_species(frames, species, ATOMS));
    CALL(bzd_dataset_masses(frames, masses, ATOMS));
    CALL(bzd_dataset_positions(frames, x, 9 * FRAMES));
    CALL(bzd_dataset_forces(frames, f, 9 * FRAMES));
    CALL(bzd_dataset_energies(frames, e, FRAMES));
    printf("%d atoms, the first of element %d and mass %.3f; energy of the first frame %.3f kcal/mol\n", (int)atoms,
           (int)species[0], masses[0], e[0]);

    CALL(bzd_maxwell_velocities(ATOMS, masses, 1, 0, 300.0, x, v, 9 * FRAMES));
    CALL(bzd_dataset_set_velocities(frames, v, 9 * FRAMES));
    CALL(bzd_dataset_write(frames, argv[1]));
    CALL(bzd_dataset_read(argv[1], NULL, NULL, NULL, &again));
    CALL(bzd_dataset_velocities(again, x, 9 * FRAMES));
    for (size_t i = 0; i < 9 * FRAMES; i++) {
        TRUE(fabs(x[i] - v[i]) < 1e-6 * (1.0 + fabs(v[i])));
    }

    char *json = NULL;
    CALL(bzd_dataset_inspect(frames, 0.0, &json));
    printf("%.60s ...\n", json);
    bzd_string_free(json);
    CALL(bzd_evaluate(again, frames, &json));
    printf("%.60s ...\n", json);
    bzd_string_free(json);
    bzd_dataset_free(again);
    bzd_dataset_free(frames);
    return 0;
}
