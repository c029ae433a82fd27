/* Paths as clients send them, made safe to look at. */
#ifndef SCHEME_PATH_H
#define SCHEME_PATH_H

#include <stddef.h>

/*
 * Copies the LENGTH bytes of UNTRUSTED_PATH to RET_PATH, which has SIZE bytes: no slash at either
 * end or twice in a row, no "." component, NUL-terminated. Returns the new length, -EINVAL for a
 * ".." component or a NUL, or -ENAMETOOLONG.
 */
int path_fold(const char *untrusted_path, size_t length, char *ret_path, size_t size);

#endif
