/* The status text. Names that come from the agent or from clients are printed with control
 * characters replaced. */
#include "schemes/display-bridge/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/session.h"
#include "schemes/display-bridge/card.h"
#include "schemes/display-bridge/display.h"
#include "version.h"

#define TEXT_BYTES  (32u * 1024u) // more than all limits together fill
#define CLIENTS_MAX 32            // shown

struct text {
	char *bytes;
	size_t used;
};

static void text_add(struct text *text, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

static void text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	size_t room = TEXT_BYTES - text->used;
	va_start(arguments, format);
	int length = vsnprintf(text->bytes + text->used, room, format, arguments);
	va_end(arguments);
	if (length > 0) {
		text->used += (size_t)length < room ? (size_t)length : room - 1;
	}
}

static double seconds(uint64_t ns)
{
	return (double)ns / (double)CLOCK_NS_PER_S;
}

/* A name without what could play with a terminal. */
static const char *clean(const char *name, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s", name);
	for (char *c = buffer; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			*c = '?';
		}
	}
	return buffer;
}

static void agent_format(const struct display *display, struct text *text)
{
	const struct agent *agent = &display->agent;
	char name[80];
	char address[160];
	double age = seconds(clock_now_ns() - agent->changed_ns);
	text_add(text, "address: %s\n", address_format(&agent->address, address, sizeof(address)));
	text_add(text, "link: %s for %.3f s\n", agent->greeted ? "up" : "down", age);
	text_add(text, "agent: %s\n",
			agent->name[0] != '\0' ? clean(agent->name, name, sizeof(name))
					       : "none yet");
	text_add(text, "outages: %u\n", agent->outages);
	uint64_t last_ms = agent->outage_last_ns / CLOCK_NS_PER_MS;
	uint64_t longest_ms = agent->outage_longest_ns / CLOCK_NS_PER_MS;
	text_add(text, "outage_last_ms: %" PRIu64 "\n", last_ms);
	text_add(text, "outage_longest_ms: %" PRIu64 "\n", longest_ms);
	struct link_counters counters = {0};
	uint32_t times_up = 0;
	if (agent->session != NULL) {
		counters = session_counters(agent->session);
		times_up = session_times_up(agent->session);
	}
	text_add(text, "connections: %u\n", times_up);
	text_add(text, "link_sent_bytes: %" PRIu64 "\nlink_sent_frames: %" PRIu64 "\n",
			counters.sent_bytes, counters.sent_frames);
	text_add(text, "link_received_bytes: %" PRIu64 "\nlink_received_frames: %" PRIu64 "\n",
			counters.received_bytes, counters.received_frames);
}

static const char *connection_name(uint32_t connection)
{
	return connection == 1 ? "connected" : connection == 2 ? "disconnected" : "unknown";
}

static void topology_format(const struct display *display, struct text *text)
{
	const struct kms *kms = &display->kms;
	char name[40];
	text_add(text, "topology: %s, driver %s, %u crtcs, %u connectors\n",
			display->agent.has_topology ? "of the agent" : "kept",
			clean(kms->topology.driver, name, sizeof(name)), kms->topology.crtc_count,
			kms->topology.connector_count);
	uint32_t slots[LIMIT_CONNECTORS];
	uint32_t count = kms_slots_present(kms, slots);
	for (uint32_t i = 0; i < count; i++) {
		const struct topology_connector *connector = kms_connector(kms, slots[i]);
		text_add(text, "connector %u: %s %s, %u modes", KMS_ID_CONNECTOR + slots[i],
				clean(connector->name, name, sizeof(name)),
				connection_name(connector->connection), connector->mode_count);
		if (connector->mode_count > 0) {
			text_add(text, ", first %ux%u@%u", connector->modes[0].hdisplay,
					connector->modes[0].vdisplay, connector->modes[0].vrefresh);
		}
		text_add(text, ", EDID %u bytes\n", connector->edid_bytes);
	}
}

static void crtcs_format(const struct display *display, struct text *text)
{
	const struct vt *vt = vt_find(&display->vts, display->vts.active);
	for (uint32_t i = 0; i < display->kms.topology.crtc_count; i++) {
		const struct present_crtc *crtc = &display->present.crtcs[i];
		text_add(text, "crtc %u: ", KMS_ID_CRTC + i);
		if (vt != NULL && vt_crtc_is_lit(vt, i)) {
			const struct crtc_state *now = &vt->crtcs[i].now;
			text_add(text, "%ux%u fb %u", now->mode.hdisplay, now->mode.vdisplay,
					now->fb->id);
		} else {
			text_add(text, "off");
		}
		text_add(text, ", %" PRIu64 " commits, %" PRIu64 " refused, %s\n", crtc->commits,
				crtc->refused,
				crtc->commit.under_way          ? "under way"
						: crtc->pending ? "pending"
								: "settled");
	}
}

static void vts_format(const struct display *display, struct text *text)
{
	static const char *const kinds[] = {
			[INPUTD_ASKING] = "not answered yet",
			[INPUTD_NONE] = "none",
			[INPUTD_CALLS] = "calls",
			[INPUTD_READ] = "read",
	};
	text_add(text, "inputd: %s\n", kinds[display->inputd.kind]);
	if (display->vts.active == VT_NONE) {
		text_add(text, "active_vt: none\n");
	} else {
		text_add(text, "active_vt: %" PRIu64 "\n", display->vts.active);
	}
	text_add(text, "vts: %u\n", display->vts.count);
	for (const struct vt *vt = display->vts.first; vt != NULL; vt = vt->next) {
		text_add(text, "vt %" PRIu64 ": %u handles\n", vt->number, vt->handles);
	}
}

static void clients_format(const struct display *display, struct text *text)
{
	const struct card *card = NULL;
	int shown = 0;
	text_add(text, "handles: %u\nbuffers: %u\nbuffer_bytes: %" PRIu64 "\nframebuffers: %u\n",
			display->handles, display->buffers.buffers, display->buffers.bytes,
			display->fbs.count);
	LIST_FOREACH (card, &display->cards, link) {
		if (card->vt == NULL || ++shown > CLIENTS_MAX) {
			continue;
		}
		text_add(text,
				"client: pid %" PRIu64 " vt %" PRIu64
				" buffers %u framebuffers %u %s\n",
				card->pid, card->vt_number, card->buffers.used, card->fb_count,
				card->client_name);
	}
}

int status_format(struct display *display, char **ret_text, size_t *ret_bytes)
{
	struct text text = {.bytes = malloc(TEXT_BYTES)};
	if (text.bytes == NULL) {
		return -ENOMEM;
	}
	text_add(&text, "display-bridge: %s\nscheme: %s\n", BRIDGE_VERSION, display->name);
	agent_format(display, &text);
	topology_format(display, &text);
	crtcs_format(display, &text);
	vts_format(display, &text);
	clients_format(display, &text);
	*ret_text = text.bytes;
	*ret_bytes = text.used;
	return 0;
}
