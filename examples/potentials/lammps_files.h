/* What a LAMMPS input and the files that it names hold, as one number: labels that are kept must not be gone on with after
 * any of them has changed. */
#ifndef LAMMPS_FILES_H
#define LAMMPS_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_LINE = 4096, DEEPEST_INCLUDE = 8 };

/* The file's content into an FNV-1a digest, which tells what changed from what did not; 0 where there is no such file. */
static int lammps_mix(uint64_t *digest, const char *name) {
    char part[4096];
    struct stat what;
    FILE *file = stat(name, &what) == 0 && S_ISREG(what.st_mode) ? fopen(name, "rb") : NULL;
    if (file == NULL) {
        return 0;
    }
    for (size_t count; (count = fread(part, 1, sizeof part, file)) > 0;) {
        for (size_t k = 0; k < count; k++) {
            *digest = (*digest ^ (unsigned char)part[k]) * UINT64_C(1099511628211);
        }
    }
    fclose(file);
    return 1;
}

/* The word with the values of -var NAME VALUE in place of ${NAME}. */
static void lammps_substitute(const char *word, int argc, char *const *argv, char *out, size_t size) {
    size_t length = 0;
    while (*word != '\0' && length + 1 < size) {
        size_t name = strncmp(word, "${", 2) == 0 ? strcspn(word + 2, "}") : 0;
        const char *value = NULL;
        for (int k = 0; name > 0 && word[2 + name] == '}' && k + 2 < argc; k++) {
            if (strcmp(argv[k], "-var") == 0 && strlen(argv[k + 1]) == name && strncmp(argv[k + 1], word + 2, name) == 0) {
                value = argv[k + 2];
            }
        }
        if (value == NULL) {
            out[length++] = *word++;
            continue;
        }
        length += (size_t)snprintf(out + length, size - length, "%s", value);
        word += name + 3;
    }
    out[length < size ? length : size - 1] = '\0';
}

/* The input, every file that a word of it names, and the same of what it includes. */
static void lammps_mix_input(uint64_t *digest, const char *input, int argc, char *const *argv, int depth) {
    char line[LONGEST_LINE], name[LONGEST_LINE];
    FILE *text = lammps_mix(digest, input) && depth < DEEPEST_INCLUDE ? fopen(input, "r") : NULL;
    if (text == NULL) {
        return;
    }
    while (fgets(line, (int)sizeof line, text) != NULL) {
        int include = 0;
        char *rest = NULL;
        line[strcspn(line, "#\n")] = '\0';
        for (char *word = strtok_r(line, " \t\r\"'", &rest); word != NULL; word = strtok_r(NULL, " \t\r\"'", &rest)) {
            lammps_substitute(word, argc, argv, name, sizeof name);
            if (include) {
                lammps_mix_input(digest, name, argc, argv, depth + 1);
            } else {
                lammps_mix(digest, name);
            }
            include = strcmp(word, "include") == 0;
        }
    }
    fclose(text);
}

#endif
