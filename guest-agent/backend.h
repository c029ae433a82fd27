/*
 * A display device as the agent needs it. kms.c and headless.c are peers behind this table;
 * everything else is above it and does not know which one it has.
 */
#ifndef GUEST_AGENT_BACKEND_H
#define GUEST_AGENT_BACKEND_H

#include "guest-agent/commit.h"
#include "guest-agent/cursor.h"
#include "guest-agent/picture.h"
#include "guest-agent/topology.h"

/* Memory that a CRTC can show. Made and destroyed by the back end. */
struct scanout {
	struct picture picture;
	size_t map_bytes;
	uint32_t handle;      // KMS: the dumb buffer
	uint32_t framebuffer; // KMS: 0 when it has none
};

struct backend;

/* CRTCs and connectors are named by their index in the topology. All errors are negative errno
 * values. */
struct backend_ops {
	/* Turns off nothing, frees all. */
	void (*destroy)(struct backend *backend);

	/*
	 * Reads what the device has now. An index names the same object for the life of the back
	 * end; a connector that goes away is reported as disconnected. *RET_TOPOLOGY is undefined
	 * after an error.
	 */
	int (*probe)(struct backend *backend, struct topology *ret_topology);

	/* A black picture. The size is one that the wire allows. */
	int (*scanout_create)(struct backend *backend, uint32_t width_px, uint32_t height_px,
			struct scanout **ret_scanout);

	/* NULL is allowed. What shows it goes black first. */
	void (*scanout_destroy)(struct backend *backend, struct scanout *scanout);

	/* Makes CRTC show SCANOUT with STATE, or turns it off (SCANOUT is NULL then). After an
	 * error the old state stays. */
	int (*apply)(struct backend *backend, uint16_t crtc, const struct crtc_state *state,
			struct scanout *scanout);

	/* The pixels of BOXES (not empty, inside) were changed in memory: brings them to the
	 * screen. */
	int (*flush)(struct backend *backend, uint16_t crtc, struct scanout *scanout,
			const struct box *boxes, unsigned int boxes_count);

	/* Shows IMAGE on the cursor plane at X, Y; NULL hides it. NULL as pointer: no back end
	 * without a plane has it. */
	int (*cursor_set)(struct backend *backend, uint16_t crtc, const struct cursor_image *image,
			int32_t x, int32_t y);

	/* Moves the image that was set. */
	int (*cursor_move)(struct backend *backend, uint16_t crtc, int32_t x, int32_t y);

	/* An answer about CRTC goes out now: the outside must be able to see what it says. SCANOUT
	 * is NULL when it is off. May be NULL. */
	int (*settle)(struct backend *backend, uint16_t crtc, const struct scanout *scanout);
};

struct backend {
	const struct backend_ops *ops;
};

#endif
