/* From frames and a potential to a sampler: a fitted force field, equilibrated states, training.
 *
 *   cc -std=c99 -Iinclude examples/c/train.c -Ltarget/release -lboltzdrift -Wl,-rpath,target/release -lm -o train
 *   ./train water.safetensors
 */
#include "example.h"

/* A bar of points, one for every tenth of a stage. */
static int32_t shown(void *user_data, const bzd_progress_t *now) {
    int *tenths = user_data;
    int part = now->total > 0 ? (int)(10 * now->done / now->total) : 0;
    if (part != *tenths) {
        *tenths = part;
        fprintf(stderr, "%s: %d0 %%\n", now->stage, part);
    }
    return 0;
}

int main(int argc, char **argv) {
    enum { FRAMES = 300 };
    int tenths = 0;
    char *report = NULL;
    TRUE(argc == 2);
    double *x = distorted_water(FRAMES);
    bzd_dataset_t *frames = NULL, *states = NULL;
    bzd_potential_t *own = water_potential(), *field = NULL;
    bzd_sampler_t *sampler = NULL;
    CALL(bzd_dataset_from_arrays(FRAMES, ATOMS, WATER, x, NULL, NULL, NULL, &frames));
    free(x);
    CALL(bzd_dataset_label(frames, own, NULL, NULL));

    CALL(bzd_equilibrate(frames, own, "{\"temperature\": 300, \"frames\": 2000}", shown, &tenths, &states, &report));
    printf("%.70s ...\n", report);
    bzd_string_free(report);
    if (!bzd_can_train()) {
        TRUE(bzd_train(states, NULL, NULL, NULL, &sampler) == BZD_UNSUPPORTED);
        TRUE(bzd_fit(frames, NULL, NULL, NULL, &field) == BZD_UNSUPPORTED);
        printf("%s\n", bzd_last_error());
    } else {
        /* Where there are forces but no potential: a force field fitted to them stands in for it. */
        CALL(bzd_fit(frames, "{\"frames\": 60}", NULL, NULL, &field));
        CALL(bzd_train(states,
                       "{\"temperature\": 300, \"steps\": 300, \"width\": 48, \"depth\": 2, \"device\": \"cpu\"}", shown,
                       &tenths, &sampler));
        CALL(bzd_sampler_save(sampler, argv[1]));
        printf("%s written\n", argv[1]);
    }
    bzd_sampler_free(sampler);
    bzd_potential_free(field);
    bzd_potential_free(own);
    bzd_dataset_free(states);
    bzd_dataset_free(frames);
    return 0;
}
