/* The text of the handle "status": `key: value` lines, for people and tests. */
#ifndef DISPLAY_BRIDGE_STATUS_H
#define DISPLAY_BRIDGE_STATUS_H

#include <stddef.h>

struct display;

/* Makes the text as of now; the caller frees it. Returns 0 or -ENOMEM. */
int status_format(struct display *display, char **ret_text, size_t *ret_bytes);

#endif
