/*
 * A commit under way on one CRTC: the state that the bridge wants, and the place where the next
 * bytes of its pixels belong.
 *
 *   idle ──commit_begin──► filling ──all bytes of the damage have come──► complete ──commit_end──► idle
 *
 * Knows nothing of devices and sessions.
 */
#ifndef GUEST_AGENT_COMMIT_H
#define GUEST_AGENT_COMMIT_H

#include "common/limits.h"
#include "guest-agent/picture.h"
#include "proto/bridge.h"

/* What a CRTC shows. */
struct crtc_state {
	uint32_t connectors;     // bit set of indices; 0 = the CRTC is off
	struct bridge_mode mode; // when it is on
};

/* A zeroed one is idle. */
struct commit {
	bool under_way;
	uint32_t id;
	struct crtc_state state;
	struct bridge_rect damage[LIMIT_DAMAGE_RECTS];
	uint16_t damage_count;
	int result;                   // why it will fail, 0 while nothing is wrong
	const struct picture *target; // borrowed; NULL: the pixels are thrown away
	uint64_t missing_bytes;       // of pixels
	uint16_t rect;                // where the next byte belongs: in damage[rect],
	uint32_t row_px;              // in this row of it,
	uint32_t row_bytes;           // after so many bytes of the row
	uint8_t pixel[4];             // a pixel of which a part has come
};

/*
 * Checks UNTRUSTED_MESSAGE (decoded) against a device of CONNECTORS connectors and fills *COMMIT,
 * which must be idle. Returns 0, or -EBADMSG with *RET_FAULT (static text).
 */
int commit_begin(struct commit *commit, const struct bridge_commit *untrusted_message,
		uint16_t connectors, const char **ret_fault);

/* Where the pixels go: TARGET is of the size of the mode, or NULL when the commit fails with RESULT
 * (a negative errno). */
void commit_set_target(struct commit *commit, const struct picture *target, int result);

/* Whether all bytes have come. */
bool commit_is_complete(const struct commit *commit);

/*
 * Where the next bytes go, and how many in a row (never 0). The commit must have a target and be
 * incomplete. Rows that follow each other in memory are one span.
 */
uint8_t *commit_span(struct commit *commit, size_t *ret_bytes);

/*
 * BYTES (not 0, at most what commit_span() said) were put there. Takes note of them up to the end
 * of a row: returns how many, the caller repeats for the others. *RET_BOX: the whole pixels of
 * these that are in the target now; may be empty.
 */
size_t commit_advance(struct commit *commit, size_t bytes, struct box *ret_box);

/* BYTES (at most missing_bytes) were thrown away; for commits without target. */
void commit_skip(struct commit *commit, uint64_t bytes);

/* Back to idle. */
void commit_end(struct commit *commit);

/* Whether both light the same connectors with the same timing; names and types of modes do not
 * count. */
bool crtc_state_equal(const struct crtc_state *a, const struct crtc_state *b);

#endif
