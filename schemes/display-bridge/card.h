/*
 * Handles: what clients have open below the scheme's root.
 *
 *   <vt>, v2/<vt>   a card: the DRM device of one VT (both forms: redox-abi.md 4.5)
 *   status          text for people and tests
 *   render          reserved for GPU handles: ENODEV
 */
#ifndef DISPLAY_BRIDGE_CARD_H
#define DISPLAY_BRIDGE_CARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "schemes/display-bridge/buffer.h"
#include "schemes/scheme/scheme.h"

struct display;
struct fb;
struct vt;

#define CARD_NAME_MAX 64

enum card_kind { CARD_ROOT, CARD_DEVICE, CARD_STATUS };

struct card {
	LIST_ENTRY(card) link;   // display.cards
	struct display *display; // borrowed
	enum card_kind kind;
	bool old_path; // opened as v2/<vt>
	uint64_t vt_number;
	struct vt *vt; // borrowed; NULL: an O_PATH handle, or no device

	struct buffer_table buffers;
	struct fb *fbs; // by fb.owner_next, a reference each
	uint32_t fb_count;

	bool universal_planes, hotplug_events, version_set;
	uint32_t hotplug_slots; // connectors that changed and have not been read
	uint64_t pid;           // of the opener
	char client_name[CARD_NAME_MAX + 1];

	char *text; // of a status handle, owned
	size_t text_bytes;
};

/* The handlers of the scheme; their data is a struct display. */
extern const struct scheme_ops card_ops;

/* Tells the handles that asked for it that the connectors in SLOTS changed. */
void card_notify_hotplug(struct display *display, uint32_t slots);

/* Gives FB (its one reference is taken) to CARD. */
void card_own_fb(struct card *card, struct fb *fb);

/*
 * Takes FB away from CARD. With DROP (RMFB) whatever shows it goes off, else (CLOSEFB) it lives
 * while it is shown. Returns 0, or -ENOENT when CARD does not own it.
 */
int card_disown_fb(struct card *card, struct fb *fb, bool drop);

#endif
