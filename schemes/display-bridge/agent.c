/*
 * The session with the agent. Everything it says is checked here and in topology.c and present.c;
 * whatever does not fit ends the connection (session_fail) with one line in the log, and the bridge
 * dials again. Clients notice nothing.
 */
#include "schemes/display-bridge/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/session.h"
#include "proto/bridge.h"
#include "schemes/display-bridge/display.h"
#include "version.h"

static void agent_up(void *data, const struct bridge_hello *peer)
{
	struct agent *agent = data;
	uint64_t now_ns = clock_now_ns();
	if (agent->outages > 0) {
		agent->outage_last_ns = now_ns - agent->changed_ns;
		if (agent->outage_last_ns > agent->outage_longest_ns) {
			agent->outage_longest_ns = agent->outage_last_ns;
		}
	}
	snprintf(agent->name, sizeof(agent->name), "%s", peer->name);
	agent->frame_max = peer->frame_max;
	agent->greeted = true;
	agent->changed_ns = now_ns;
	agent->flood_count = 0;
	topology_reader_reset(&agent->reader);
}

static void agent_down(void *data, int error, const char *reason)
{
	struct agent *agent = data;
	(void)error; // session.c logs it
	(void)reason;
	agent->greeted = false;
	agent->has_topology = false;
	agent->changed_ns = clock_now_ns();
	agent->outages++;
	present_down(&agent->display->present);
}

/* Whether this is more topologies within a second than any hotplug makes. */
static bool topology_is_flood(struct agent *agent)
{
	uint64_t now_ns = clock_now_ns();
	if (now_ns - agent->flood_start_ns > CLOCK_NS_PER_S) {
		agent->flood_start_ns = now_ns;
		agent->flood_count = 0;
	}
	return ++agent->flood_count > LIMIT_TOPOLOGIES_PER_SECOND;
}

static int on_topology(struct agent *agent, const struct link_frame *frame, const char **ret_fault)
{
	struct display *display = agent->display;
	if (frame->header.opcode == BRIDGE_TOPOLOGY_BEGIN && topology_is_flood(agent)) {
		*ret_fault = "too many topologies in a second";
		return -EBADMSG;
	}
	int done = topology_read(&agent->reader, frame->header.opcode, frame->payload,
			frame->payload_bytes, ret_fault);
	if (done <= 0) {
		return done;
	}
	display_apply(display, &agent->reader.topology);
	if (agent->has_topology) {
		present_all(&display->present);
		return 0;
	}
	agent->has_topology = true;
	present_up(&display->present, agent->session, agent->frame_max);
	static struct log_limit limit;
	log_line_limited(&limit, LOG_INFO, LOG_DISPLAY, "agent '%s' is there", agent->name);
	if (agent->ready != NULL) {
		agent->ready(agent->ready_data);
	}
	return 0;
}

static int on_commit_done(
		struct agent *agent, const struct link_frame *frame, const char **ret_fault)
{
	struct bridge_commit_done done;
	if (bridge_commit_done_decode(&done, frame->payload, frame->payload_bytes) != 0) {
		*ret_fault = "commit_done does not decode";
		return -EBADMSG;
	}
	*ret_fault = "commit_done of a commit that is not under way";
	return present_commit_done(&agent->display->present, &done);
}

static int on_sync_done(struct agent *agent, const struct link_frame *frame, const char **ret_fault)
{
	struct bridge_sync_done done;
	if (bridge_sync_done_decode(&done, frame->payload, frame->payload_bytes) != 0) {
		*ret_fault = "sync_done does not decode";
		return -EBADMSG;
	}
	*ret_fault = "sync_done without a sync";
	return present_sync_done(&agent->display->present, done.id);
}

static int agent_frame(void *data, const struct link_frame *frame)
{
	struct agent *agent = data;
	const char *fault = "message that display-bridge does not expect";
	int error;
	switch (frame->header.opcode) {
	case BRIDGE_TOPOLOGY_BEGIN:
	case BRIDGE_CRTC:
	case BRIDGE_CONNECTOR:
	case BRIDGE_TOPOLOGY_END:
		error = on_topology(agent, frame, &fault);
		break;
	case BRIDGE_COMMIT_DONE:
		error = on_commit_done(agent, frame, &fault);
		break;
	case BRIDGE_SYNC_DONE:
		error = on_sync_done(agent, frame, &fault);
		break;
	default:
		error = -EBADMSG;
		break;
	}
	if (error != 0) {
		session_fail(agent->session, error, fault);
	}
	return 0;
}

static void agent_writable(void *data)
{
	struct agent *agent = data;
	present_writable(&agent->display->present);
}

static const struct session_ops agent_ops = {
		.up = agent_up,
		.frame = agent_frame,
		.writable = agent_writable,
		.down = agent_down,
};

int agent_start(struct agent *agent, struct display *display, struct loop *loop,
		const struct address *address)
{
	struct session_config config = {
			.name = "display-bridge " BRIDGE_VERSION,
			.role = BRIDGE_ROLE_DISPLAY,
			.peer_roles = 1u << BRIDGE_ROLE_AGENT,
			.epoch = session_make_epoch(),
	};
	agent->display = display;
	agent->address = *address;
	agent->changed_ns = clock_now_ns();
	return session_dial(loop, &config, address, &agent_ops, agent, &agent->session);
}

void agent_finish(struct agent *agent)
{
	session_destroy(agent->session);
	agent->session = NULL;
}
