/*
 * The kernel hands over paths as the client wrote them: "../x", "/a//b/" (redox-run.md 1.4). They
 * are folded once, here, so that no daemon compares or joins the raw form.
 *
 * What comes out has neither empty, "." nor ".." components.
 */
#include <errno.h>
#include <string.h>
#include "schemes/scheme/path.h"

static int path_append(const char *component, size_t length, char *path, size_t size, size_t *used)
{
	size_t slash = *used ? 1 : 0;

	if (length == 2 && component[0] == '.' && component[1] == '.') {
		return -EINVAL;
	}
	if (!length || (length == 1 && component[0] == '.')) {
		return 0;
	}
	if (*used + slash + length >= size) {
		return -ENAMETOOLONG;
	}
	if (slash) {
		path[(*used)++] = '/';
	}
	memcpy(path + *used, component, length);
	*used += length;
	return 0;
}

int path_fold(const char *untrusted_path, size_t length, char *ret_path, size_t size)
{
	size_t used = 0;
	size_t start = 0;

	if (length && memchr(untrusted_path, 0, length)) {
		return -EINVAL;
	}
	for (size_t end = 0; end <= length; end++) {
		if (end < length && untrusted_path[end] != '/') {
			continue;
		}
		int error = path_append(untrusted_path + start, end - start, ret_path, size, &used);
		if (error) {
			return error;
		}
		start = end + 1;
	}
	ret_path[used] = 0;
	return (int)used;
}
