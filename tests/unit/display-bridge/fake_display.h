/*
 * A display-bridge without its surroundings: the real code of schemes/display-bridge, over a fake
 * scheme (requests are structs here) and a fake session whose other end is a fake agent that paints
 * what it is sent.
 */
#ifndef TESTS_UNIT_DISPLAY_BRIDGE_FAKE_DISPLAY_H
#define TESTS_UNIT_DISPLAY_BRIDGE_FAKE_DISPLAY_H

#include "tests/support/test.h"

#include "common/session.h"
#include "proto/bridge.h"
#include "schemes/display-bridge/card.h"
#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/mode.h"
#include "schemes/drm/drm_fixed.h"
#include "schemes/drm/drm_layout.h"

#define FAKE_SCREEN_PX 256u // largest mode in these tests

struct request {
	uint8_t *bytes;
	size_t length;
	uint64_t pid, offset;
	bool answered;
	int64_t result;
};

/* What the fake agent shows on one CRTC. */
struct fake_screen {
	bool on;
	struct bridge_commit commit; // the newest
	bool under_way;              // no commit_done sent yet
	uint64_t wanted_bytes, got_bytes;
	uint32_t pixels[FAKE_SCREEN_PX * FAKE_SCREEN_PX];
	bool cursor_visible;
	int32_t cursor_x, cursor_y;
	uint32_t cursor_width, cursor_height;
	int32_t cursor_hot_x, cursor_hot_y;
	uint32_t cursor_pixels[256 * 256];
	unsigned commits, images, moves;
	uint64_t pixel_bytes; // all that came
};

struct fake {
	struct loop *loop;
	struct display display;
	struct fake_screen screens[LIMIT_CRTCS];
	uint32_t generation;
	uint32_t frame_max; // that the fake agent takes
	unsigned syncs;
	uint32_t sync_id;  // of the newest sync, 0: answered
	unsigned notified; // calls of scheme_notify
	bool full;         // session_send answers -EAGAIN
	unsigned room;     // ... after so many more frames; 0: no such limit
	int failed;        // error of session_fail, 0: none
	char fault[128];
	bool up;
};

extern struct fake *fake; // of the running test

int fake_setup(void **state);
int fake_teardown(void **state);

/* Runs what the loop has to do now. */
void fake_turn(void);

/* A topology of two CRTCs and CONNECTORS connectors "FAKE-1", ... with two modes each: 64x48 and
 * 80x40. */
void fake_topology(struct topology *topology, uint32_t connectors);

void fake_agent_up(void); // HELLO alone
void fake_agent_topology(const struct topology *topology);
void fake_agent_down(void);
/* Sends one message as the agent. */
void fake_agent_say(uint16_t opcode, const uint8_t *payload, size_t length);
/* commit_done for what is under way on CRTC and has all its pixels. */
void fake_agent_answer(uint32_t crtc, int32_t result);
void fake_agent_answer_sync(void);
/* Turns and answers everything with 0 until the bridge has nothing more to say. */
void fake_agent_settle(void);

/* Opens PATH as pid 100. Returns NULL when it is refused, with the errno in *RET_ERROR (may be
 * NULL). */
struct card *fake_open(const char *path, int *ret_error);
void fake_close(struct card *card);

/* One ioctl that must not park. */
int64_t fake_ioctl(struct card *card, uint64_t nr, void *payload, size_t length);
/* One ioctl or (NR UINT64_MAX) fsync that may park; free() the request when it is answered. */
struct request *fake_start(struct card *card, uint64_t nr, const void *payload, size_t length);

/* --- a client --- */
struct fake_client {
	struct card *card;
	uint32_t handle, fb;
	uint32_t width, height, pitch;
	uint8_t *memory;
};

/* Opens PATH and makes a buffer of WIDTH x HEIGHT full of noise, with a framebuffer. */
void client_start(struct fake_client *client, const char *path, uint32_t width, uint32_t height,
		uint64_t *seed);
/* SETCRTC of mode MODE of connector number CONNECTOR (from 0); parks perhaps. */
struct request *client_set_crtc(struct fake_client *client, uint32_t crtc, uint32_t connector,
		uint32_t mode, uint32_t x, uint32_t y);
/* The same, finished by an agent that agrees (when there is one). Returns the result. */
int64_t client_show(struct fake_client *client, uint32_t crtc, uint32_t connector, uint32_t mode);
int64_t client_dirty(
		struct fake_client *client, const struct drm_fixed_clip *clips, uint32_t count);
/* Whether the screen of CRTC shows the client's buffer from X, Y on. */
void client_assert_shown(const struct fake_client *client, uint32_t crtc, uint32_t x, uint32_t y);

#endif
