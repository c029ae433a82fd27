/* Everything that one display-bridge has. */
#ifndef DISPLAY_BRIDGE_DISPLAY_H
#define DISPLAY_BRIDGE_DISPLAY_H

#include <stdint.h>
#include <sys/queue.h>
#include "schemes/display-bridge/agent.h"
#include "schemes/display-bridge/buffer.h"
#include "schemes/display-bridge/fb.h"
#include "schemes/display-bridge/inputd.h"
#include "schemes/display-bridge/kms.h"
#include "schemes/display-bridge/present.h"
#include "schemes/display-bridge/vt.h"

struct card;
struct loop;
struct scheme;

struct display {
	struct loop *loop;     // borrowed
	struct scheme *scheme; // owned by main
	const char *name;      // of the scheme
	struct kms kms;
	struct fb_table fbs;
	struct buffer_pool buffers;
	struct vts vts;
	struct present present;
	struct agent agent;
	struct inputd inputd;
	LIST_HEAD(card_list, card) cards; // all handles
	uint32_t handles;
	int state_fd;     // of the state file, -1: none
	uint8_t *scratch; // LIMIT_PAYLOAD bytes: the payload of the ioctl being served
};

/* A complete topology came in: the objects change, and clients that asked are told. */
void display_apply(struct display *display, const struct topology *topology);

#endif
