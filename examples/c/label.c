/* Labels that are stopped and go on: in memory, and in a file.
 *
 *   cc -std=c99 -Iinclude examples/c/label.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o label
 *   ./label labelled.npz
 */
#include "example.h"

/* Asks to stop once half of the frames are done, the first time. */
static int32_t half(void *stopped, const bzd_progress_t *now) {
    int stop = *(int *)stopped == 0 && 2 * now->done >= now->total;
    *(int *)stopped |= stop;
    return stop;
}

int main(int argc, char **argv) {
    enum { FRAMES = 1024 };
    int stopped = 0;
    size_t count = 0, atoms = 0;
    char *json = NULL;
    bzd_dataset_t *frames = NULL, *done = NULL;
    TRUE(argc == 2);
    double *made = distorted_water(FRAMES);
    CALL(bzd_dataset_from_arrays(FRAMES, ATOMS, WATER, made, NULL, NULL, NULL, &frames));
    free(made);
    bzd_potential_t *potential = water_potential();

    /* A file: what is done lies beside it, for this process or another. */
    TRUE(bzd_dataset_label_to(frames, potential, argv[1], NULL, half, &stopped, NULL) == BZD_INTERRUPTED);
    printf("%s\n", bzd_last_error());
    CALL(bzd_dataset_label_to(frames, potential, argv[1], "{\"batch\": 100}", half, &stopped, &json));
    printf("%s\n", json);
    TRUE(strstr(json, "\"kept_before\":512") != NULL);
    bzd_string_free(json);

    /* Memory: what is done stays with the potential. */
    stopped = 0;
    TRUE(bzd_dataset_label(frames, potential, half, &stopped) == BZD_INTERRUPTED);
    printf("%s\n", bzd_last_error());
    CALL(bzd_dataset_labelled(frames, potential, &done));
    CALL(bzd_dataset_size(done, &count, &atoms));
    TRUE(count == FRAMES / 2);
    bzd_dataset_free(done);
    CALL(bzd_dataset_label(frames, potential, half, &stopped));

    bzd_potential_free(potential);
    bzd_dataset_free(frames);
    return 0;
}
