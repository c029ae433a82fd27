/*
 * A display device made of memory: connectors come from a file, pictures go to PNG files. For tests
 * and for trying things out where there is no monitor. Commits take effect at once.
 */
#ifndef GUEST_AGENT_HEADLESS_H
#define GUEST_AGENT_HEADLESS_H

#include <stddef.h>
#include <stdint.h>

struct backend;

/*
 * Reads the connectors of CONFIG_PATH (headless_config.h; again at each probe). With PNG_DIR (may
 * be NULL) DIR/crtc-N.png holds, whenever a commit or a sync is answered, exactly what the answer
 * is about; it is removed when the CRTC goes off. Returns 0 or a negative errno, with words for a
 * person in REASON.
 */
int headless_create(const char *config_path, const char *png_dir, char *reason, size_t reason_bytes,
		struct backend **ret_backend);

/* How many times the picture of CRTC was changed. */
uint64_t headless_frames(const struct backend *backend, uint16_t crtc);

#endif
