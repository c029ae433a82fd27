/*
 * The runtime directory: sockets of one running configuration. It belongs to one vm-launch at a
 * time (a lock in it says so), is private to its user, and goes away at the end. What a killed
 * vm-launch left in it is removed by the next one.
 */
#ifndef VM_LAUNCH_RUNTIME_H
#define VM_LAUNCH_RUNTIME_H

#include <stddef.h>

#define RUNTIME_MESSAGE_BYTES 512u
#define RUNTIME_PATH_BYTES \
	84u // so that a socket's name still fits behind it in an address of 108 bytes

struct runtime {
	char path[RUNTIME_PATH_BYTES];
	int lock_fd;
};

/*
 * Writes the directory for the configuration at CONFIG_PATH to RUNTIME's path: WANTED if it is not
 * NULL, else vm-launch-NAME under XDG_RUNTIME_DIR, else under /run. Nothing is made. Returns 0 or a
 * negative errno with a line in RET_MESSAGE.
 */
int runtime_choose(struct runtime *runtime, const char *wanted, const char *config_path,
		char ret_message[RUNTIME_MESSAGE_BYTES]);

/*
 * Makes the chosen directory and locks it. Returns 0 or a negative errno with a line in
 * RET_MESSAGE.
 */
int runtime_create(struct runtime *runtime, char ret_message[RUNTIME_MESSAGE_BYTES]);

/* Removes the directory with all that is in it, if runtime_create made or took it. */
void runtime_remove(struct runtime *runtime);

#endif
