/*
 * The fixed parts F of DRM payloads (redox-abi.md 4.4): the Linux structs without their array
 * pointers. Natural alignment; payloads have none, so copy with memcpy. Structs that have no
 * pointers (struct drm_mode_fb_cmd2, ...) travel as Linux declares them, but are repeated here, so
 * that a bridge needs no header of libdrm for its payloads. drm_layout_check.c compares the sizes.
 */
#ifndef DRM_DRM_FIXED_H
#define DRM_DRM_FIXED_H

#include <stdint.h>

struct drm_fixed_version {
	int32_t major, minor, patch, pad;
	uint64_t name_len, date_len, desc_len;
};

struct drm_fixed_unique {
	uint64_t len;
};

struct drm_fixed_set_version {
	int32_t di_major, di_minor, dd_major, dd_minor;
};

/* GET_CAP and SET_CLIENT_CAP */
struct drm_fixed_cap {
	uint64_t capability, value;
};

struct drm_fixed_modeinfo {
	uint32_t clock; // kHz
	uint16_t hdisplay, hsync_start, hsync_end, htotal, hskew;
	uint16_t vdisplay, vsync_start, vsync_end, vtotal, vscan;
	uint32_t vrefresh, flags, type;
	char name[32];
};

struct drm_fixed_resources {
	uint32_t count_fbs, count_crtcs, count_connectors, count_encoders;
	uint32_t min_width, max_width, min_height, max_height; // px
};

/* GETCRTC and SETCRTC */
struct drm_fixed_crtc {
	uint32_t count_connectors, crtc_id, fb_id, x, y, gamma_size, mode_valid;
	struct drm_fixed_modeinfo mode;
};

struct drm_fixed_cursor {
	uint32_t flags, crtc_id;
	int32_t x, y;
	uint32_t width, height, handle;
};

struct drm_fixed_cursor2 {
	uint32_t flags, crtc_id;
	int32_t x, y;
	uint32_t width, height, handle;
	int32_t hot_x, hot_y;
};

struct drm_fixed_encoder {
	uint32_t encoder_id, encoder_type, crtc_id, possible_crtcs, possible_clones;
};

struct drm_fixed_connector {
	uint32_t count_modes, count_props, count_encoders, encoder_id, connector_id;
	uint32_t connector_type, connector_type_id, connection, mm_width, mm_height, subpixel, pad;
};

struct drm_fixed_property {
	uint32_t prop_id, flags;
	char name[32];
	uint32_t count_values, count_enum_blobs;
};

/* Element of GETPROPERTY's second array. */
struct drm_fixed_property_enum {
	uint64_t value;
	char name[32];
};

struct drm_fixed_set_property {
	uint64_t value;
	uint32_t prop_id, connector_id;
};

struct drm_fixed_blob {
	uint32_t blob_id, length;
};

/* GETFB and ADDFB */
struct drm_fixed_fb {
	uint32_t fb_id, width, height, pitch, bpp, depth, handle;
};

struct drm_fixed_rmfb {
	uint32_t fb_id;
};

struct drm_fixed_page_flip {
	uint32_t crtc_id, fb_id, flags, sequence;
	uint64_t user_data;
};

struct drm_fixed_dirty {
	uint32_t fb_id, flags, color, num_clips;
};

/* Element of DIRTYFB's array; x2 and y2 are exclusive. */
struct drm_fixed_clip {
	uint16_t x1, y1, x2, y2;
};

struct drm_fixed_create_dumb {
	uint32_t height, width, bpp, flags, handle, pitch;
	uint64_t size;
};

struct drm_fixed_map_dumb {
	uint32_t handle, pad;
	uint64_t offset;
};

struct drm_fixed_destroy_dumb {
	uint32_t handle;
};

struct drm_fixed_plane_resources {
	uint32_t count_planes;
};

struct drm_fixed_plane {
	uint32_t plane_id, crtc_id, fb_id, possible_crtcs, gamma_size, count_format_types;
};

/* src_h stands before src_w, as on Linux; src_* are 16.16 fixed point. */
struct drm_fixed_set_plane {
	uint32_t plane_id, crtc_id, fb_id, flags;
	int32_t crtc_x, crtc_y;
	uint32_t crtc_w, crtc_h, src_x, src_y, src_h, src_w;
};

/* GETFB2 and ADDFB2 */
struct drm_fixed_fb2 {
	uint32_t fb_id, width, height, pixel_format, flags, handles[4], pitches[4], offsets[4];
	uint64_t modifier[4];
};

struct drm_fixed_object_properties {
	uint32_t count_props, obj_id, obj_type;
};

struct drm_fixed_closefb {
	uint32_t fb_id, pad;
};

struct drm_fixed_client_name {
	uint64_t len;
};

#endif
