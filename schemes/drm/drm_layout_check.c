/* Compares the table of DRM layouts with libdrm's headers while it is compiled; there is nothing to
 * run. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <drm.h>
#include <drm_mode.h>

#include "schemes/drm/drm_fixed.h"

/* Linux structs without a name, or younger than bookworm's libdrm. */
struct drm_set_client_name_linux {
	uint64_t name_len;
	uint64_t name;
};

#define DRM_SIZEOF(type, field) sizeof(((type *)0)->field)
#define DRM_ARRAY(linux_struct, count, count_at, count_bytes, pointer, pointer_at, element,       \
		element_bytes, max)                                                               \
	static_assert(offsetof(struct linux_struct, count) == (count_at),                         \
			#linux_struct "." #count);                                                \
	static_assert(DRM_SIZEOF(struct linux_struct, count) == (count_bytes),                    \
			#linux_struct "." #count);                                                \
	static_assert(offsetof(struct linux_struct, pointer) == (pointer_at),                     \
			#linux_struct "." #pointer);                                              \
	static_assert(DRM_SIZEOF(struct linux_struct, pointer) == 8, #linux_struct "." #pointer); \
	static_assert(sizeof(element) == (element_bytes), #element);
#define DRM_LAYOUT(nr, name, linux_struct, linux_bytes, fixed_bytes, write_only, ...) \
	static_assert(sizeof(struct linux_struct) == (linux_bytes), #name);           \
	static_assert((fixed_bytes) <= (linux_bytes), #name);                         \
	__VA_ARGS__
#include "schemes/drm/drm_layout.def"

/* The numbers of the requests, where libdrm has them. */
#undef DRM_LAYOUT
#undef DRM_ARRAY
#define DRM_ARRAY(...)
#define DRM_LAYOUT(nr, name, linux_struct, linux_bytes, fixed_bytes, write_only, ...) \
	DRM_NR_##name = (nr),
enum {
#include "schemes/drm/drm_layout.def"
};

#define CHECK_NR(name) static_assert((DRM_IOCTL_##name & 0xFF) == DRM_NR_##name, #name)
CHECK_NR(VERSION);
CHECK_NR(GET_UNIQUE);
CHECK_NR(SET_VERSION);
CHECK_NR(GET_CAP);
CHECK_NR(SET_CLIENT_CAP);
CHECK_NR(MODE_GETRESOURCES);
CHECK_NR(MODE_GETCRTC);
CHECK_NR(MODE_SETCRTC);
CHECK_NR(MODE_CURSOR);
CHECK_NR(MODE_GETENCODER);
CHECK_NR(MODE_GETCONNECTOR);
CHECK_NR(MODE_GETPROPERTY);
CHECK_NR(MODE_SETPROPERTY);
CHECK_NR(MODE_GETPROPBLOB);
CHECK_NR(MODE_GETFB);
CHECK_NR(MODE_ADDFB);
CHECK_NR(MODE_RMFB);
CHECK_NR(MODE_PAGE_FLIP);
CHECK_NR(MODE_DIRTYFB);
CHECK_NR(MODE_CREATE_DUMB);
CHECK_NR(MODE_MAP_DUMB);
CHECK_NR(MODE_DESTROY_DUMB);
CHECK_NR(MODE_GETPLANERESOURCES);
CHECK_NR(MODE_GETPLANE);
CHECK_NR(MODE_SETPLANE);
CHECK_NR(MODE_ADDFB2);
CHECK_NR(MODE_OBJ_GETPROPERTIES);
CHECK_NR(MODE_CURSOR2);
CHECK_NR(MODE_GETFB2);
#ifdef DRM_IOCTL_MODE_CLOSEFB
CHECK_NR(MODE_CLOSEFB);
#endif
#ifdef DRM_IOCTL_SET_CLIENT_NAME
CHECK_NR(SET_CLIENT_NAME);
#endif

/* F, as drm_fixed.h declares it, against the table and against the Linux structs that travel whole.
 */
#undef DRM_LAYOUT
#define DRM_LAYOUT(nr, name, linux_struct, linux_bytes, fixed_bytes, write_only, ...) \
	DRM_FIXED_##name = (fixed_bytes),
enum {
#include "schemes/drm/drm_layout.def"
};

#define CHECK_FIXED(name, type) \
	static_assert(sizeof(struct drm_fixed_##type) == DRM_FIXED_##name, #name)
CHECK_FIXED(VERSION, version);
CHECK_FIXED(GET_UNIQUE, unique);
CHECK_FIXED(SET_VERSION, set_version);
CHECK_FIXED(GET_CAP, cap);
CHECK_FIXED(MODE_GETRESOURCES, resources);
CHECK_FIXED(MODE_GETCRTC, crtc);
CHECK_FIXED(MODE_CURSOR, cursor);
CHECK_FIXED(MODE_GETENCODER, encoder);
CHECK_FIXED(MODE_GETCONNECTOR, connector);
CHECK_FIXED(MODE_GETPROPERTY, property);
CHECK_FIXED(MODE_SETPROPERTY, set_property);
CHECK_FIXED(MODE_GETPROPBLOB, blob);
CHECK_FIXED(MODE_ADDFB, fb);
CHECK_FIXED(MODE_RMFB, rmfb);
CHECK_FIXED(MODE_PAGE_FLIP, page_flip);
CHECK_FIXED(MODE_DIRTYFB, dirty);
CHECK_FIXED(MODE_CREATE_DUMB, create_dumb);
CHECK_FIXED(MODE_MAP_DUMB, map_dumb);
CHECK_FIXED(MODE_DESTROY_DUMB, destroy_dumb);
CHECK_FIXED(MODE_GETPLANERESOURCES, plane_resources);
CHECK_FIXED(MODE_GETPLANE, plane);
CHECK_FIXED(MODE_SETPLANE, set_plane);
CHECK_FIXED(MODE_ADDFB2, fb2);
CHECK_FIXED(MODE_OBJ_GETPROPERTIES, object_properties);
CHECK_FIXED(MODE_CURSOR2, cursor2);
CHECK_FIXED(MODE_CLOSEFB, closefb);
CHECK_FIXED(SET_CLIENT_NAME, client_name);
static_assert(sizeof(struct drm_fixed_modeinfo) == sizeof(struct drm_mode_modeinfo), "modeinfo");
static_assert(sizeof(struct drm_fixed_clip) == sizeof(struct drm_clip_rect), "clip");
static_assert(sizeof(struct drm_fixed_property_enum) == sizeof(struct drm_mode_property_enum),
		"property enum");

#define CHECK_WHOLE(type, linux_struct, field)                                \
	static_assert(offsetof(struct drm_fixed_##type, field) ==             \
					offsetof(struct linux_struct, field), \
			#type "." #field)
CHECK_WHOLE(modeinfo, drm_mode_modeinfo, vdisplay);
CHECK_WHOLE(modeinfo, drm_mode_modeinfo, name);
CHECK_WHOLE(cursor2, drm_mode_cursor2, hot_y);
CHECK_WHOLE(encoder, drm_mode_get_encoder, possible_clones);
CHECK_WHOLE(fb, drm_mode_fb_cmd, handle);
CHECK_WHOLE(fb2, drm_mode_fb_cmd2, offsets);
CHECK_WHOLE(fb2, drm_mode_fb_cmd2, modifier);
CHECK_WHOLE(create_dumb, drm_mode_create_dumb, size);
CHECK_WHOLE(map_dumb, drm_mode_map_dumb, offset);
CHECK_WHOLE(page_flip, drm_mode_crtc_page_flip_target, user_data);
CHECK_WHOLE(set_plane, drm_mode_set_plane, src_w);
CHECK_WHOLE(set_property, drm_mode_connector_set_property, connector_id);
