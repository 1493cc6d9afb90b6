/* A sample in place of a molecule of a simulation, whose atoms come in another order.
 *
 *   cc -std=c99 -Iinclude examples/c/place.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o place
 *   ./place water.safetensors
 */
#include "example.h"

int main(int argc, char **argv) {
    /* The molecule as it is now: hydrogen, oxygen, hydrogen, far from the origin. */
    const int32_t species[ATOMS] = {1, 8, 1};
    double there[9] = {20.76, 5.59, 5.0, 20.0, 5.0, 5.0, 19.24, 5.59, 5.0};
    double onto[9], sample[9], velocities[9], masses[ATOMS];
    int32_t order[ATOMS], known[ATOMS], bonds[4];
    size_t count = 0;
    bzd_sampler_t *sampler = NULL;
    TRUE(argc == 2);
    CALL(bzd_sampler_load(argv[1], &sampler));
    CALL(bzd_sampler_species(sampler, known, ATOMS));
    CALL(bzd_sampler_masses(sampler, masses, ATOMS));
    CALL(bzd_sampler_bonds(sampler, &count, NULL, 0));
    TRUE(count == 2);
    CALL(bzd_sampler_bonds(sampler, &count, bonds, 4));
    printf("the sampler's atom 0 is element %d; bonds %d-%d and %d-%d\n", (int)known[0], (int)bonds[0], (int)bonds[1],
           (int)bonds[2], (int)bonds[3]);

    CALL(bzd_sampler_match(sampler, ATOMS, species, there, 0, NULL, order, ATOMS));
    for (int atom = 0; atom < ATOMS; atom++) {
        memcpy(onto + 3 * atom, there + 3 * order[atom], 3 * sizeof *onto);
    }
    CALL(bzd_sampler_sample(sampler, 1, 0, 1, sample, 9));
    CALL(bzd_sampler_place(sampler, 1, 0, 1, NULL, onto, BZD_ORIENT_KEEP, sample, 9));
    CALL(bzd_sampler_velocities(sampler, 1, 0, 300.0, sample, velocities, 9));
    for (int atom = 0; atom < ATOMS; atom++) {
        memcpy(there + 3 * order[atom], sample + 3 * atom, 3 * sizeof *there);
    }
    for (int atom = 0; atom < ATOMS; atom++) {
        printf("%d %9.4f %9.4f %9.4f\n", (int)species[atom], there[3 * atom], there[3 * atom + 1], there[3 * atom + 2]);
    }
    bzd_sampler_free(sampler);
    return 0;
}
