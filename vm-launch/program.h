/* Where the programs of this project are: beside vm-launch, in the build tree, or installed. */
#ifndef VM_LAUNCH_PROGRAM_H
#define VM_LAUNCH_PROGRAM_H

#include <stddef.h>

/*
 * Writes the path of NAME ("vsock-device", "display-bridge", "guest-agent", "build" of the image)
 * to BUFFER; where there is none it writes NAME itself, for a search in PATH. Returns BUFFER.
 */
const char *program_find(const char *name, char *buffer, size_t size);

#endif
