/*
 * Carries out a plan: starts its stages one after the other, each when everything before is ready;
 * says when all of it is; stops everything when it is told to or when one part ends, in reverse
 * order, with a time limit for each; leaves nothing behind.
 */
#ifndef VM_LAUNCH_SUPERVISE_H
#define VM_LAUNCH_SUPERVISE_H

#include <stdint.h>

#include "vm-launch/plan.h"

struct supervise_config {
	const struct plan *plan;       // borrowed
	int ready_fd;                  // gets a newline when all is ready, then is closed; -1: none
	uint32_t ready_timeout_ms;     // for each part
	uint32_t stop_timeout_ms;      // for each part but a VM, whose own is in its configuration
	void (*all_ready)(void *data); // may be NULL
	void *data;
};

/*
 * Unblocks all signals. Runs until SIGTERM or SIGINT, or until a part ends. A second signal kills
 * what is left at once. Returns 0 when it was told to stop and did so, 1 when a part failed (one
 * line was logged), or a negative errno before anything was started.
 */
int supervise_run(const struct supervise_config *config);

#endif
