/* What happens to the whole when the agent says what its device has. */
#include "schemes/display-bridge/display.h"

#include <string.h>

#include "common/log.h"
#include "schemes/display-bridge/card.h"
#include "schemes/display-bridge/state.h"

void display_apply(struct display *display, const struct topology *topology)
{
	uint32_t changed;
	bool same = memcmp(&display->kms.topology, topology, sizeof(*topology)) == 0;
	kms_apply(&display->kms, topology, &changed);
	card_notify_hotplug(display, changed);
	if (display->state_fd >= 0 && !same) {
		int error = state_save(display->state_fd, topology);
		if (error != 0) {
			log_peer(LOG_DISPLAY, "cannot write the state file: %s", strerror(-error));
		}
	}
}
