/* Feeds the files of a folder to a fuzzer, each as one TAP test: what was found once is never lost,
 * and needs no clang. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INPUT_MAX_BYTES (1024u * 1024u)

/* The fuzzer gets its input in a block of just that size, so that a sanitizer sees the first byte
 * behind it. */
static bool replay_file(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rbe");
	if (file == NULL) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	static uint8_t input[INPUT_MAX_BYTES];
	size_t size = fread(input, 1, sizeof(input), file);
	bool good = feof(file) != 0 && ferror(file) == 0;
	fclose(file);
	uint8_t *exact = malloc(size > 0 ? size : 1);
	if (exact == NULL || !good) {
		fprintf(stderr, "replay: %s: cannot be read, or longer than %u bytes\n", path,
				INPUT_MAX_BYTES);
		free(exact);
		return false;
	}
	memcpy(exact, input, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return true;
}

int main(int argc, char **argv)
{
	struct dirent **names = NULL;
	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	int count = scandir(argv[1], &names, NULL, alphasort);
	if (count < 0) {
		fprintf(stderr, "replay: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	unsigned done = 0;
	unsigned failed = 0;
	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.') {
			bool good = replay_file(argv[1], names[i]->d_name);
			failed += good ? 0 : 1;
			printf("%sok %u - %s\n", good ? "" : "not ", ++done, names[i]->d_name);
			fflush(stdout);
		}
		free(names[i]);
	}
	free(names);
	printf("1..%u\n", done);
	return done > 0 && failed == 0 ? 0 : 1;
}
