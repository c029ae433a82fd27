/*
 * The directory REDOX_HOSTED_DIR: kernel/ has one socket for each scheme socket, scheme/ one
 * symbolic link for each name, to "SOCKET:INODE" (INODE names the root handle). A link stays when
 * its daemon dies, as names do on Redox (redox-run.md 1.2).
 */
#ifndef HOSTED_REGISTRY_H
#define HOSTED_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTRY_SOCKET_MAX 40u
#define REGISTRY_NAME_MAX   255u

struct registry_root {
	char socket[REGISTRY_SOCKET_MAX];
	uint64_t inode;
};

/* Makes an empty socket name of this process. */
void registry_new_socket(char ret_socket[REGISTRY_SOCKET_MAX]);

/* Returns a listening socket (CLOEXEC, not blocking) of that name, or a negative errno. */
int registry_listen(const char *socket);

/* Removes the socket of a scheme that ended. */
void registry_forget(const char *socket);

/* Returns a fresh connection (CLOEXEC) to that scheme, or a negative errno: -ENODEV when its daemon
 * is dead. */
int registry_connect(const char *socket);

/* Whether FD is a connection to a scheme; then RET_SOCKET is its name. */
bool registry_peer(int fd, char ret_socket[REGISTRY_SOCKET_MAX]);

/* NAME of LENGTH bytes in the namespace. Return 0 or a negative errno: -EEXIST, -ENODEV (unknown),
 * -EINVAL. */
int registry_add(const char *name, size_t length, const struct registry_root *root);
int registry_find(const char *name, size_t length, struct registry_root *ret_root);
int registry_remove(const char *name, size_t length);

/* A descriptor of the directory (CLOEXEC), or a negative errno. */
int registry_open(void);

/* User and group of this process: REDOX_HOSTED_UID ("UID" or "UID:GID"), else OTHERWISE and the
 * real group. */
void registry_user(uint32_t otherwise, uint32_t *ret_uid, uint32_t *ret_gid);

#endif
