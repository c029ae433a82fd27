/*
 * The file that declares the connectors of the headless back end:
 *
 *   [screen]                  ; may be left out
 *   crtcs = 1                 ; 1 to 16
 *   size_max = 4096x4096      ; largest mode in pixels
 *   cursor_max = 64           ; largest cursor in pixels, 16 to 256
 *
 *   [connector HDMI-A-1]      ; up to 16, named as in sysfs
 *   connection = connected    ; or disconnected, unknown
 *   mode = 1024x768@60        ; one line for each, the first is the preferred one
 *   size_mm = 520x320
 *   crtcs = 0,1               ; which can drive it; all when left out
 *   edid = 00ffffffffffff00   ; hexadecimal, one line or several
 *   edid_file = monitor.bin   ; or from a file, beside this one
 */
#ifndef GUEST_AGENT_HEADLESS_CONFIG_H
#define GUEST_AGENT_HEADLESS_CONFIG_H

#include "guest-agent/topology.h"

/* Returns 0, or a negative errno with "file:line: what is wrong" in REASON. *RET_TOPOLOGY is
 * undefined after an error. */
int headless_config_read(
		const char *path, struct topology *ret_topology, char *reason, size_t reason_bytes);

#endif
