/*
 * The agent as the bridge sees it: one session, up or down; topologies and answers come in here.
 *
 *   down ──hello──► greeted ──topology──► ready (present is up) ──end of the session──► down
 */
#ifndef DISPLAY_BRIDGE_AGENT_H
#define DISPLAY_BRIDGE_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/address.h"
#include "schemes/display-bridge/topology.h"

struct display;
struct loop;
struct session;

struct agent {
	struct display *display; // borrowed
	struct session *session; // owned
	struct address address;
	struct topology_reader reader;
	void (*ready)(void *data); // called at each first topology of a connection; may be NULL
	void *ready_data;

	bool greeted, has_topology;
	uint32_t frame_max;  // bytes, from its HELLO
	char name[65];       // from its HELLO
	uint64_t changed_ns; // when it went up or down last
	uint32_t outages;    // how often it went away
	uint64_t outage_last_ns, outage_longest_ns;
	uint64_t flood_start_ns; // of the second in which flood_count topologies came
	uint32_t flood_count;
};

/* Starts dialling ADDRESS, for ever. Returns 0 or a negative errno. */
int agent_start(struct agent *agent, struct display *display, struct loop *loop,
		const struct address *address);
void agent_finish(struct agent *agent);

#endif
