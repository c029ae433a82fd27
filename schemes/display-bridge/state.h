/* The last topology, kept in a file between runs: clients that start before the agent see the
 * monitors of last time. */
#ifndef DISPLAY_BRIDGE_STATE_H
#define DISPLAY_BRIDGE_STATE_H

#include "schemes/display-bridge/topology.h"

/* Opens PATH for both, made when missing (before the scheme is registered: later no path is
 * opened). Returns the fd or a negative errno. */
int state_open(const char *path);

/* Reads the topology of an earlier run. Returns 0, -ENOENT when the file is empty, -EBADMSG when it
 * is torn or of another version. */
int state_load(int fd, struct topology *ret_topology);

/* Replaces what is in the file. Returns 0 or a negative errno. */
int state_save(int fd, const struct topology *topology);

#endif
