/*
 * What the agent is told: the active VT's state as commits with the pixels that changed, cursors,
 * and who waits for it to be on the screen.
 *
 *   per CRTC:  settled ──change──► pending ──commit, pixels──► under way ──commit_done──► settled
 *                                     ▲                            │ changes meanwhile are merged
 *                                     └────────────────────────────┘
 *
 * Without an agent ("down") nothing is kept but the state itself: when one is there again,
 * everything is sent. Pixels are read from the clients' buffers at the time they are sent, and only
 * as fast as the link takes them.
 */
#ifndef DISPLAY_BRIDGE_PRESENT_H
#define DISPLAY_BRIDGE_PRESENT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/limits.h"
#include "schemes/display-bridge/damage.h"
#include "schemes/display-bridge/vt.h"

struct bridge_commit_done;
struct loop;
struct loop_source;
struct request;
struct session;
struct present_wait;

/* A commit on its way, pixel by pixel, then waiting for commit_done. */
struct present_commit {
	bool under_way, streaming;
	uint32_t id;
	uint64_t vt;           // number
	uint64_t state_serial; // of that VT's state
	uint64_t change;       // the newest change that it carries
	uint64_t deadline_ns;
	struct fb *fb; // a reference while streaming
	uint32_t x, y;
	struct damage damage; // of the CRTC
	uint32_t rect;        // being sent
	uint64_t rect_sent_bytes;
};

struct present_crtc {
	bool pending;
	struct damage damage;   // not sent yet, of the CRTC
	uint64_t changed, done; // numbers of the newest change, and of the newest on the screen
	bool image_pending, move_pending;
	struct present_commit commit;
	uint64_t commits, refused; // counters for status
};

struct present {
	struct loop *loop;                // borrowed
	struct vts *vts;                  // borrowed
	struct session *session;          // borrowed; NULL: down
	uint32_t frame_max;               // bytes of a frame that the agent takes
	struct loop_source *kick, *timer; // kick: an idle source, NULL when there is none
	struct present_wait *waits;
	uint32_t next_id;
	uint64_t cursor_changed, cursor_synced; // numbers of cursor changes
	uint64_t sync_change;                   // that the sync under way covers
	uint32_t sync_id;                       // 0: none under way
	uint64_t sync_deadline_ns;
	uint64_t full_deadline_ns; // by which a full link has to have room again; 0: it is not full
	struct present_crtc crtcs[LIMIT_CRTCS];
};

/* Returns 0 or -ENOMEM. */
int present_init(struct present *present, struct loop *loop, struct vts *vts);
/* Waiting requests must be gone (scheme_destroy cancels them). */
void present_finish(struct present *present);

/* SESSION is up and the topology known: everything is sent, in frames of at most FRAME_MAX bytes. */
void present_up(struct present *present, struct session *session, uint32_t frame_max);
/* The link is gone: those who wait are answered 0. */
void present_down(struct present *present);

/* Another VT is active, or another topology: all that the agent may show is sent again. */
void present_all(struct present *present);
/* CRTC INDEX of the active VT changed. */
void present_crtc_state(struct present *present, uint32_t index);
/* Pixels of CRTC INDEX of the active VT changed; RECT is clipped to its mode. */
void present_damage(struct present *present, uint32_t index, const struct damage_rect *rect);
/* The active VT's cursor on CRTC INDEX moved, or has another picture. */
void present_cursor(struct present *present, uint32_t index, bool image);

/*
 * Parks REQUEST until CRTC INDEX's newest state has been judged by the driver (its errno is the
 * answer), or until everything is on the screen (the answer is 0). Returns SCHEME_PARK, 0 when
 * there is nothing to wait for, or -ENOMEM.
 */
int64_t present_wait_crtc(struct present *present, struct request *request, uint32_t index);
int64_t present_wait_all(struct present *present, struct request *request);
/* REQUEST goes away unanswered. */
void present_cancel(struct present *present, struct request *request);

/* Messages of the agent. Return 0, or -EBADMSG when it answers what was not asked. */
int present_commit_done(struct present *present, const struct bridge_commit_done *done);
int present_sync_done(struct present *present, uint32_t id);
/* The link has room again. */
void present_writable(struct present *present);

#endif
