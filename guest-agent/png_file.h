/* Writes a picture as a PNG file. */
#ifndef GUEST_AGENT_PNG_FILE_H
#define GUEST_AGENT_PNG_FILE_H

#include "guest-agent/picture.h"

/*
 * Replaces DIR/NAME by PICTURE in one step: a reader sees the old or the new file, whole. The
 * pixels are stored without compression, which is fast. Returns 0 or a negative errno.
 */
int png_file_write(int dir_fd, const char *name, const struct picture *picture);

#endif
