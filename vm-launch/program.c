/*
 * Finds programs relative to the running vm-launch, so that a build tree works where it lies and an
 * installation can be moved.
 */
#include "vm-launch/program.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Folders to look in, relative to the one of vm-launch. */
static const char *const folders[] = {
		".",
		"vsock",
		"image",
		"../schemes/display-bridge",
		"../guest-agent",
		"../libexec/redox-driver-bridge",
};

const char *program_find(const char *name, char *buffer, size_t size)
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length > 0) {
		own[length] = '\0';
		*strrchr(own, '/') = '\0';
		for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
			int needed = snprintf(buffer, size, "%s/%s/%s", own, folders[i], name);

			if (needed > 0 && (size_t)needed < size && access(buffer, X_OK) == 0) {
				return buffer;
			}
		}
	}
	snprintf(buffer, size, "%s", name);
	return buffer;
}
