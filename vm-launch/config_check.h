/* What no single line of a configuration says: that its sections fit together. */
#ifndef VM_LAUNCH_CONFIG_CHECK_H
#define VM_LAUNCH_CONFIG_CHECK_H

#include "vm-launch/config.h"

/*
 * Resolves names of VMs, gives each VM a context id, and looks for contradictions. Returns 0, or
 * -EINVAL with the first fault's line and reason.
 */
int config_check(struct config *config, unsigned *ret_line, char ret_reason[CONFIG_MESSAGE_BYTES]);

#endif
