/* Framebuffers. Invariant: width, height, pitch and offset were checked against the buffer, which
 * never changes. */
#include "schemes/display-bridge/fb.h"

#include <errno.h>
#include <stdlib.h>

#include "schemes/display-bridge/buffer.h"
#include "schemes/display-bridge/kms.h"

#define BYTES_PER_PIXEL 4u

static int layout_check(const struct buffer *buffer, const struct fb_layout *layout)
{
	if (layout->format != FB_FORMAT_XRGB8888 && layout->format != FB_FORMAT_ARGB8888) {
		return -EINVAL;
	}
	if (layout->width == 0 || layout->height == 0 ||
			(uint64_t)layout->width * BYTES_PER_PIXEL > layout->pitch) {
		return -EINVAL;
	}
	uint64_t last_row = layout->offset + (uint64_t)layout->pitch * (layout->height - 1);
	if (last_row + (uint64_t)layout->width * BYTES_PER_PIXEL > buffer->bytes) {
		return -EINVAL;
	}
	return 0;
}

int fb_create(struct fb_table *table, struct kms *kms, struct buffer *buffer,
		const struct fb_layout *layout, struct fb **ret_fb)
{
	int error = layout_check(buffer, layout);
	if (error != 0) {
		return error;
	}
	struct fb *fb = calloc(1, sizeof(*fb));
	if (fb == NULL) {
		return -ENOMEM;
	}
	do {
		fb->id = kms_id_next(kms);
	} while (fb_find(table, fb->id) != NULL || kms_blob_find(kms, fb->id) >= 0);
	fb->refs = 1;
	fb->buffer = buffer_ref(buffer);
	fb->width = layout->width;
	fb->height = layout->height;
	fb->pitch = layout->pitch;
	fb->offset = layout->offset;
	fb->format = layout->format;
	fb->bucket_next = table->buckets[fb->id % FB_BUCKETS];
	table->buckets[fb->id % FB_BUCKETS] = fb;
	table->count++;
	*ret_fb = fb;
	return 0;
}

struct fb *fb_ref(struct fb *fb)
{
	fb->refs++;
	return fb;
}

void fb_unref(struct fb_table *table, struct fb *fb)
{
	if (fb == NULL || --fb->refs > 0) {
		return;
	}
	struct fb **at = &table->buckets[fb->id % FB_BUCKETS];
	while (*at != fb) {
		at = &(*at)->bucket_next;
	}
	*at = fb->bucket_next;
	table->count--;
	buffer_unref(fb->buffer);
	free(fb);
}

struct fb *fb_find(const struct fb_table *table, uint32_t id)
{
	struct fb *fb = table->buckets[id % FB_BUCKETS];
	while (fb != NULL && fb->id != id) {
		fb = fb->bucket_next;
	}
	return fb;
}

uint32_t fb_format_of_depth(uint32_t bpp, uint32_t depth)
{
	if (bpp != 32) {
		return 0;
	}
	return depth == 24 ? FB_FORMAT_XRGB8888 : depth == 32 ? FB_FORMAT_ARGB8888 : 0;
}

uint32_t fb_depth(const struct fb *fb)
{
	return fb->format == FB_FORMAT_ARGB8888 ? 32 : 24;
}
