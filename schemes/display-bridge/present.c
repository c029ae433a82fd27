/*
 * The active VT's way to the agent. Invariant: at most one commit is under way per CRTC; what
 * changes meanwhile is merged into crtc.pending and crtc.damage; crtc.done never passes
 * crtc.changed, and whoever waits for a change is answered when done reaches it, or the link goes
 * down.
 *
 * Nothing is sent from inside an ioctl: a change asks for a kick at the end of the loop's turn, so
 * DIRTYFB returns at once and the clips of one batch of requests travel together.
 */
#include "schemes/display-bridge/present.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/session.h"
#include "proto/bridge.h"
#include "schemes/display-bridge/buffer.h"
#include "schemes/display-bridge/mode.h"
#include "schemes/display-bridge/stream.h"
#include "schemes/scheme/scheme.h"

#define TURN_BYTES     (1024u * 1024u) // of pixels, then the loop gets its turn
#define CURSOR_POS_MAX 32767

/* A request that is answered when changes are on the screen. */
struct present_wait {
	struct present_wait *next;
	struct request *request;
	bool all;
	uint32_t crtc;                 // when not all
	uint64_t changes[LIMIT_CRTCS]; // reached by done: over
	uint64_t cursor;
};

static void present_pump(void *data);

static uint64_t deadline_make(void)
{
	return clock_now_ns() + LIMIT_COMMIT_MS * CLOCK_NS_PER_MS;
}

/* Arms the timer for the earliest answer that is still owed, or for the end of a full link. */
static void timer_update(struct present *present)
{
	uint64_t deadline_ns = present->sync_id != 0 ? present->sync_deadline_ns : 0;
	if (present->full_deadline_ns != 0 &&
			(deadline_ns == 0 || present->full_deadline_ns < deadline_ns)) {
		deadline_ns = present->full_deadline_ns;
	}
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		const struct present_commit *commit = &present->crtcs[i].commit;
		if (commit->under_way && (deadline_ns == 0 || commit->deadline_ns < deadline_ns)) {
			deadline_ns = commit->deadline_ns;
		}
	}
	loop_timer_arm(present->timer, deadline_ns);
}

static void present_timeout(void *data)
{
	struct present *present = data;
	if (present->session != NULL) {
		session_fail(present->session, -ETIMEDOUT, "it does not answer, or does not read");
	}
}

int present_init(struct present *present, struct loop *loop, struct vts *vts)
{
	*present = (struct present) {.loop = loop, .vts = vts};
	return loop_add_timer(loop, present_timeout, present, &present->timer);
}

void present_finish(struct present *present)
{
	present_down(present);
	loop_source_remove(present->kick);
	loop_source_remove(present->timer);
	present->kick = NULL;
	present->timer = NULL;
}

static void kick(struct present *present)
{
	if (present->session == NULL || present->kick != NULL) {
		return;
	}
	if (loop_add_idle(present->loop, present_pump, present, &present->kick) != 0) {
		present->kick = NULL; // no memory: after the timer everything is sent anew
		loop_timer_arm(present->timer, deadline_make());
	}
}

/* --- changes --- */

static void crtc_touch(struct present *present, uint32_t index, const struct damage_rect *rect)
{
	struct present_crtc *crtc = &present->crtcs[index];
	crtc->changed++;
	// A VT may still show something on a CRTC that the topology lost: the agent knows no such one.
	if (present->session == NULL || index >= present->vts->kms->topology.crtc_count) {
		crtc->done = crtc->changed;
		return;
	}
	crtc->pending = true;
	damage_add(&crtc->damage, rect);
	kick(present);
}

void present_crtc_state(struct present *present, uint32_t index)
{
	static const struct damage_rect everything = {0, 0, MODE_SIZE_MAX, MODE_SIZE_MAX};
	crtc_touch(present, index, &everything);
}

static struct vt *active_vt(const struct present *present)
{
	return vt_find(present->vts, present->vts->active);
}

void present_damage(struct present *present, uint32_t index, const struct damage_rect *rect)
{
	const struct vt *vt = active_vt(present);
	if (vt == NULL || !vt_crtc_is_lit(vt, index)) {
		return;
	}
	const struct drm_fixed_modeinfo *mode = &vt->crtcs[index].now.mode;
	const struct damage_rect screen = {0, 0, mode->hdisplay, mode->vdisplay};
	struct damage_rect inside = damage_rect_intersect(rect, &screen);
	if (!damage_rect_is_empty(&inside)) {
		crtc_touch(present, index, &inside);
	}
}

void present_cursor(struct present *present, uint32_t index, bool image)
{
	struct present_crtc *crtc = &present->crtcs[index];
	present->cursor_changed++;
	if (present->session == NULL) {
		present->cursor_synced = present->cursor_changed;
		return;
	}
	crtc->image_pending |= image;
	crtc->move_pending = true;
	kick(present);
}

void present_all(struct present *present)
{
	uint32_t count = present->vts->kms->topology.crtc_count;
	for (uint32_t i = 0; i < count; i++) {
		present_crtc_state(present, i);
		present_cursor(present, i, true);
	}
	for (uint32_t i = count; i < LIMIT_CRTCS; i++) { // gone with an older topology
		struct present_crtc *crtc = &present->crtcs[i];
		crtc->pending = false;
		crtc->image_pending = false;
		crtc->move_pending = false;
		if (!crtc->commit.under_way) {
			crtc->done = crtc->changed;
		}
	}
}

/* --- waiting --- */

static bool wait_is_over(const struct present *present, const struct present_wait *wait)
{
	if (!wait->all) {
		return present->crtcs[wait->crtc].done >= wait->changes[wait->crtc];
	}
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		if (present->crtcs[i].done < wait->changes[i]) {
			return false;
		}
	}
	return present->cursor_synced >= wait->cursor;
}

/* Answers who waits no longer: RESULT to those that wait for the driver's judgement, 0 to the
 * others. */
static void waits_answer(struct present *present, int result)
{
	struct present_wait **at = &present->waits;
	while (*at != NULL) {
		struct present_wait *wait = *at;
		if (!wait_is_over(present, wait)) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		request_answer(wait->request, wait->all ? 0 : result);
		free(wait);
	}
}

static int64_t wait_park(struct present *present, struct request *request, bool all, uint32_t index)
{
	struct present_wait *wait = calloc(1, sizeof(*wait));
	if (wait == NULL) {
		return -ENOMEM;
	}
	wait->request = request;
	wait->all = all;
	wait->crtc = index;
	wait->cursor = present->cursor_changed;
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		wait->changes[i] = present->crtcs[i].changed;
	}
	if (present->session == NULL || wait_is_over(present, wait)) {
		free(wait);
		return 0;
	}
	wait->next = present->waits;
	present->waits = wait;
	kick(present);
	return SCHEME_PARK;
}

int64_t present_wait_crtc(struct present *present, struct request *request, uint32_t index)
{
	return wait_park(present, request, false, index);
}

int64_t present_wait_all(struct present *present, struct request *request)
{
	return wait_park(present, request, true, 0);
}

void present_cancel(struct present *present, struct request *request)
{
	for (struct present_wait **at = &present->waits; *at != NULL; at = &(*at)->next) {
		struct present_wait *wait = *at;
		if (wait->request == request) {
			*at = wait->next;
			free(wait);
			return;
		}
	}
}

/* --- the link --- */

void present_up(struct present *present, struct session *session, uint32_t frame_max)
{
	present->frame_max = frame_max;
	present->session = session;
	present_all(present);
}

static void commit_end(struct present *present, struct present_commit *commit)
{
	fb_unref(present->vts->fbs, commit->fb);
	*commit = (struct present_commit) {0};
}

void present_down(struct present *present)
{
	present->session = NULL;
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		struct present_crtc *crtc = &present->crtcs[i];
		commit_end(present, &crtc->commit);
		crtc->pending = false;
		crtc->image_pending = false;
		crtc->move_pending = false;
		crtc->done = crtc->changed;
		damage_clear(&crtc->damage);
	}
	present->cursor_synced = present->cursor_changed;
	present->sync_id = 0;
	present->full_deadline_ns = 0;
	timer_update(present);
	waits_answer(present, 0);
}

/* Fills the connectors of CRTC INDEX that the topology has. Returns whether there is any. */
static bool connectors_fill(const struct kms *kms, const struct crtc_state *state,
		struct bridge_commit *message)
{
	for (uint32_t slot = 0; slot < KMS_SLOTS; slot++) {
		if ((state->connectors & 1u << slot) != 0 && kms->slots[slot].present) {
			message->connectors[message->connectors_count++] =
					(uint16_t)kms->slots[slot].index;
		}
	}
	return message->connectors_count > 0;
}

static void commit_fill(struct present *present, const struct vt *vt, uint32_t index,
		struct bridge_commit *message)
{
	struct present_crtc *crtc = &present->crtcs[index];
	*message = (struct bridge_commit) {.id = ++present->next_id, .crtc = (uint16_t)index};
	if (vt == NULL || !vt_crtc_is_lit(vt, index) ||
			!connectors_fill(present->vts->kms, &vt->crtcs[index].now, message)) {
		damage_clear(&crtc->damage);
		return;
	}
	const struct drm_fixed_modeinfo *mode = &vt->crtcs[index].now.mode;
	const struct damage_rect screen = {0, 0, mode->hdisplay, mode->vdisplay};
	damage_clip(&crtc->damage, &screen);
	message->modes_count = 1;
	mode_to_wire(mode, &message->modes[0]);
	message->damage_count = (uint16_t)crtc->damage.count;
	for (uint32_t i = 0; i < crtc->damage.count; i++) {
		const struct damage_rect *rect = &crtc->damage.rects[i];
		message->damage[i] = (struct bridge_rect) {(uint16_t)rect->x1, (uint16_t)rect->y1,
				(uint16_t)(rect->x2 - rect->x1), (uint16_t)(rect->y2 - rect->y1)};
	}
}

/* Sends the commit of what is pending on CRTC INDEX. Returns 0 or the error of the link. */
static int commit_start(struct present *present, uint32_t index)
{
	struct present_crtc *crtc = &present->crtcs[index];
	struct present_commit *commit = &crtc->commit;
	const struct vt *vt = active_vt(present);
	struct bridge_commit message;
	uint8_t bytes[BRIDGE_COMMIT_MAX];
	commit_fill(present, vt, index, &message);
	ssize_t length = bridge_commit_encode(&message, bytes, sizeof(bytes));
	if (length < 0) {
		log_error(LOG_DISPLAY, "commit of crtc %u does not encode: %s", index,
				strerror((int)-length));
		crtc->pending = false;
		crtc->done = crtc->changed;
		waits_answer(present, -EIO);
		return 0;
	}
	struct iovec iov = {bytes, (size_t)length};
	int error = session_send(present->session, BRIDGE_COMMIT, 0, &iov, 1);
	if (error != 0) {
		return error;
	}
	*commit = (struct present_commit) {
			.under_way = true,
			.streaming = vt != NULL && crtc->damage.count > 0,
			.id = message.id,
			.vt = present->vts->active,
			.state_serial = vt != NULL ? vt->crtcs[index].serial : 0,
			.change = crtc->changed,
			.deadline_ns = deadline_make(),
			.damage = crtc->damage,
	};
	if (commit->streaming) {
		const struct crtc_state *now = &vt->crtcs[index].now;
		commit->fb = fb_ref(now->fb);
		commit->x = now->x;
		commit->y = now->y;
	}
	crtc->pending = false;
	damage_clear(&crtc->damage);
	crtc->commits++;
	return 0;
}

/* Sends pixels of the commit under way until the link is full. Returns bytes, or the error of the
 * link. */
static ssize_t commit_stream(struct present *present, uint32_t index)
{
	struct present_commit *commit = &present->crtcs[index].commit;
	ssize_t sent = stream_send(present->session, index, commit, present->frame_max);
	if (sent > 0) {
		commit->deadline_ns = deadline_make();
	}
	if (commit->streaming && commit->rect == commit->damage.count) {
		commit->streaming = false;
		fb_unref(present->vts->fbs, commit->fb);
		commit->fb = NULL;
	}
	return sent;
}

static int32_t clamp_position(int32_t value)
{
	return value > CURSOR_POS_MAX             ? CURSOR_POS_MAX
			: value < -CURSOR_POS_MAX ? -CURSOR_POS_MAX
						  : value;
}

static size_t cursor_bytes(const struct vt_cursor *cursor)
{
	return (size_t)cursor->width * cursor->height * sizeof(cursor->image[0]);
}

static int cursor_send_image(
		struct present *present, uint32_t index, const struct vt_cursor *cursor)
{
	struct bridge_cursor_image message = {
			.crtc = (uint16_t)index,
			.width = (uint16_t)cursor->width,
			.height = (uint16_t)cursor->height,
			.hot_x = cursor->hot_x,
			.hot_y = cursor->hot_y,
	};
	uint8_t bytes[BRIDGE_CURSOR_IMAGE_MAX];
	ssize_t length = bridge_cursor_image_encode(&message, bytes, sizeof(bytes));
	if (length < 0) {
		return (int)length;
	}
	struct iovec iov[] = {{bytes, (size_t)length}, {cursor->image, cursor_bytes(cursor)}};
	return session_send(present->session, BRIDGE_CURSOR_IMAGE, 0, iov, 2);
}

static int cursor_send(struct present *present, uint32_t index)
{
	static const struct vt_cursor none;
	struct present_crtc *crtc = &present->crtcs[index];
	const struct topology *topology = &present->vts->kms->topology;
	const struct vt *vt = active_vt(present);
	const struct vt_cursor *cursor = vt != NULL ? &vt->crtcs[index].cursor : &none;
	bool visible = cursor->image != NULL && cursor->width <= topology->cursor_width &&
			cursor->height <= topology->cursor_height &&
			cursor_bytes(cursor) + BRIDGE_CURSOR_IMAGE_MAX <= present->frame_max;
	if (crtc->image_pending && visible) {
		int error = cursor_send_image(present, index, cursor);
		if (error != 0) {
			return error;
		}
	}
	crtc->image_pending = false;
	struct bridge_cursor_move message = {.crtc = (uint16_t)index,
			.visible = visible,
			.x = clamp_position(cursor->x),
			.y = clamp_position(cursor->y)};
	uint8_t bytes[BRIDGE_CURSOR_MOVE_MAX];
	ssize_t length = bridge_cursor_move_encode(&message, bytes, sizeof(bytes));
	struct iovec iov = {bytes, length > 0 ? (size_t)length : 0};
	int error = length < 0 ? (int)length
			       : session_send(present->session, BRIDGE_CURSOR_MOVE, 0, &iov, 1);
	crtc->move_pending = error != 0;
	return error;
}

/* Asks for sync_done when somebody waits for cursors; all of them have been sent. */
static int sync_send(struct present *present)
{
	bool wanted = false;
	for (const struct present_wait *wait = present->waits; wait != NULL; wait = wait->next) {
		wanted |= wait->all && wait->cursor > present->cursor_synced;
	}
	if (!wanted || present->sync_id != 0) {
		return 0;
	}
	struct bridge_sync message = {.id = ++present->next_id};
	uint8_t bytes[BRIDGE_SYNC_MAX];
	ssize_t length = bridge_sync_encode(&message, bytes, sizeof(bytes));
	struct iovec iov = {bytes, length > 0 ? (size_t)length : 0};
	int error = length < 0 ? (int)length
			       : session_send(present->session, BRIDGE_SYNC, 0, &iov, 1);
	if (error == 0) {
		present->sync_id = message.id;
		present->sync_change = present->cursor_changed;
		present->sync_deadline_ns = deadline_make();
	}
	return error;
}

static int cursors_pump(struct present *present)
{
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		if (present->crtcs[i].image_pending || present->crtcs[i].move_pending) {
			int error = cursor_send(present, i);
			if (error != 0) {
				return error;
			}
		}
	}
	return sync_send(present);
}

/*
 * Starts commits: first those that switch a CRTC off, so that a connector which moves to another
 * CRTC is free when that one asks for it.
 */
static int commits_pump(struct present *present)
{
	const struct vt *vt = active_vt(present);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
			const struct present_crtc *crtc = &present->crtcs[i];
			bool lit = vt != NULL && vt_crtc_is_lit(vt, i);
			if (!crtc->pending || crtc->commit.under_way || lit != (pass == 1)) {
				continue;
			}
			int error = commit_start(present, i);
			if (error != 0) {
				return error;
			}
		}
	}
	return 0;
}

static int streams_pump(struct present *present)
{
	size_t turn_bytes = 0;
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		while (present->crtcs[i].commit.streaming) {
			if (turn_bytes >= TURN_BYTES) {
				kick(present);
				return 0;
			}
			ssize_t sent = commit_stream(present, i);
			if (sent < 0) {
				return (int)sent;
			}
			turn_bytes += (size_t)sent;
		}
	}
	return 0;
}

/* Sends what there is to send. */
static void present_pump(void *data)
{
	struct present *present = data;
	present->kick = NULL;
	if (present->session == NULL) {
		return;
	}
	int error = cursors_pump(present);
	if (error == 0) {
		error = commits_pump(present);
	}
	if (error == 0) {
		error = streams_pump(present);
	}
	if (error == -EAGAIN && present->full_deadline_ns == 0) {
		present->full_deadline_ns = deadline_make(); // until present_writable
	}
	if (error != 0 && error != -EAGAIN) {
		/* The link broke, or a fault of ours, which must not stall the screen. */
		session_fail(present->session, error, "a message cannot be sent");
	}
	timer_update(present);
}

void present_writable(struct present *present)
{
	present->full_deadline_ns = 0;
	kick(present);
}

int present_commit_done(struct present *present, const struct bridge_commit_done *done)
{
	struct present_crtc *crtc = &present->crtcs[done->crtc];
	struct present_commit commit = crtc->commit;
	if (!commit.under_way || commit.streaming || commit.id != done->id) {
		return -EBADMSG;
	}
	commit_end(present, &crtc->commit);
	// With nothing pending the rest will never be sent: present_all dropped it with its CRTC.
	crtc->done = crtc->pending ? commit.change : crtc->changed;
	struct vt *vt = vt_find(present->vts, commit.vt);
	if (done->result != 0) {
		crtc->refused++;
		log_peer(LOG_DISPLAY, "the agent refused a commit of crtc %u: %s", done->crtc,
				strerror(-done->result));
	}
	if (vt != NULL && done->result == 0) {
		vt_confirm(present->vts, vt, done->crtc, commit.state_serial);
	} else if (vt != NULL) {
		vt_refuse(present->vts, vt, done->crtc, commit.state_serial);
	}
	waits_answer(present, done->result);
	kick(present);
	return 0;
}

int present_sync_done(struct present *present, uint32_t id)
{
	if (present->sync_id == 0 || present->sync_id != id) {
		return -EBADMSG;
	}
	present->sync_id = 0;
	present->cursor_synced = present->sync_change;
	waits_answer(present, 0);
	kick(present);
	return 0;
}
