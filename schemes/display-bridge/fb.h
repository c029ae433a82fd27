/*
 * Framebuffers: a buffer and how it is to be read. Found by id from every handle, owned by one
 * (RMFB, CLOSEFB, and its close), and alive while a CRTC shows them.
 */
#ifndef DISPLAY_BRIDGE_FB_H
#define DISPLAY_BRIDGE_FB_H

#include <stdint.h>
#include "common/limits.h"

struct buffer;
struct card;
struct kms;

#define FB_FORMAT_XRGB8888 0x34325258u // "XR24"
#define FB_FORMAT_ARGB8888 0x34325241u // "AR24"

#define FB_BUCKETS 256u

struct fb {
	struct fb *bucket_next;
	struct fb *owner_next;
	struct card *owner;    // borrowed; NULL when the owner let go of it
	struct buffer *buffer; // a reference
	uint32_t refs;
	uint32_t id;
	uint32_t width, height; // px
	uint32_t pitch, offset; // bytes; every row lies inside the buffer
	uint32_t format;
};

/* All framebuffers by id. Zeroed: empty. */
struct fb_table {
	struct fb *buckets[FB_BUCKETS];
	uint32_t count;
};

/* How a framebuffer is asked for: ADDFB and ADDFB2. */
struct fb_layout {
	uint32_t width, height, pitch, offset, format;
};

/*
 * Makes a framebuffer of BUFFER with a new id; the caller owns the one reference. Returns 0,
 * -EINVAL when the format is unknown or a row would lie outside the buffer, or -ENOMEM.
 */
int fb_create(struct fb_table *table, struct kms *kms, struct buffer *buffer,
		const struct fb_layout *layout, struct fb **ret_fb);

struct fb *fb_ref(struct fb *fb);
/* Gives a reference back; the last one frees. NULL is allowed. */
void fb_unref(struct fb_table *table, struct fb *fb);

/* The framebuffer ID, borrowed, or NULL. */
struct fb *fb_find(const struct fb_table *table, uint32_t id);

/* Bits a pixel are 32; depth is 24 or 32. The format of ADDFB, or 0. */
uint32_t fb_format_of_depth(uint32_t bpp, uint32_t depth);
uint32_t fb_depth(const struct fb *fb);

#endif
