/*
 * The connectors file, by libinih. Lines are counted here, because the library cuts long ones and
 * tells its handler no numbers; everything that is not understood is an error with file:line.
 */
#include "guest-agent/headless_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drmMode.h>
#include "common/fd.h"

#define LINE_BYTES 190 // what every build of libinih takes

struct reading {
	FILE *file;
	const char *path;
	struct topology *topology;
	char *reason;
	size_t reason_bytes;
	unsigned int line;
	int error;                                     // the first one, whose text is in reason
	char section[64];                              // of the value before
	uint32_t crtcs_of_connector[LIMIT_CONNECTORS]; // 0: all
};

/* Keeps the first error. Returns 0: what libinih's handler answers to stop. */
static int complain(struct reading *reading, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

static int complain(struct reading *reading, const char *format, ...)
{
	if (reading->error) {
		return 0;
	}
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(reading->reason, reading->reason_bytes, "%s:%u: %s", reading->path, reading->line,
			text);
	reading->error = -EINVAL;
	return 0;
}

/* libinih's reader: one line, counted. */
static char *line_read(char *line, int size, void *stream)
{
	struct reading *reading = stream;
	if (reading->error || !fgets(line, size, reading->file)) {
		return NULL;
	}
	reading->line++;
	size_t length = strlen(line);
	if (length > LINE_BYTES) {
		complain(reading, "line longer than %d characters", LINE_BYTES);
		return NULL;
	}
	if (length > 0 && line[0] != '\n' && isspace((unsigned char)line[0])) {
		complain(reading, "line begins with a blank");
		return NULL;
	}
	return line;
}

/* Parses a decimal number of MIN to MAX that ends at one of the characters of ENDS or the text's
 * end. */
static bool number_parse(const char **text, const char *ends, uint32_t min, uint32_t max,
		uint32_t *ret_number)
{
	if (!isdigit((unsigned char)**text)) {
		return false;
	}
	char *end;
	errno = 0;
	unsigned long number = strtoul(*text, &end, 10);
	if (errno || number < min || number > max || (*end && !strchr(ends, *end))) {
		return false;
	}
	*text = *end ? end + 1 : end;
	*ret_number = (uint32_t)number;
	return true;
}

static bool size_parse(const char **text, const char *ends, uint32_t max, uint32_t *ret_width,
		uint32_t *ret_height)
{
	return number_parse(text, "x", 1, max, ret_width) &&
			number_parse(text, ends, 1, max, ret_height);
}

static int on_screen_value(struct reading *reading, const char *key, const char *value)
{
	struct bridge_topology_begin *begin = &reading->topology->begin;
	const char *rest = value;
	uint32_t number = 0, second = 0;
	if (strcmp(key, "crtcs") == 0) {
		if (!number_parse(&rest, "", 1, LIMIT_CRTCS, &number)) {
			return complain(reading, "crtcs is a number from 1 to %u", LIMIT_CRTCS);
		}
		begin->crtcs = (uint16_t)number;
	} else if (strcmp(key, "size_max") == 0) {
		if (!size_parse(&rest, "", 16384, &number, &second) || *rest) {
			return complain(reading, "size_max is WIDTHxHEIGHT, up to 16384");
		}
		begin->width_max = number;
		begin->height_max = second;
	} else if (strcmp(key, "cursor_max") == 0) {
		if (!number_parse(&rest, "", 16, LIMIT_CURSOR_PX, &number)) {
			return complain(reading, "cursor_max is a number from 16 to %u",
					LIMIT_CURSOR_PX);
		}
		begin->cursor_width = begin->cursor_height = number;
	} else {
		return complain(reading, "unknown key \"%s\" in [screen]", key);
	}
	return 1;
}

/* Splits NAME as in sysfs, such as HDMI-A-1. */
static bool connector_name_parse(const char *name, uint32_t *ret_type, uint32_t *ret_type_id)
{
	const char *dash = strrchr(name, '-');
	if (!dash) {
		return false;
	}
	const char *rest = dash + 1;
	uint32_t id;
	if (!number_parse(&rest, "", 1, 1000, &id)) {
		return false;
	}
	for (uint32_t type = 0; type <= DRM_MODE_CONNECTOR_USB; type++) {
		const char *known = drmModeGetConnectorTypeName(type);
		if (known && strlen(known) == (size_t)(dash - name) &&
				strncmp(known, name, strlen(known)) == 0) {
			*ret_type = type;
			*ret_type_id = id;
			return true;
		}
	}
	return false;
}

static int on_connector_begin(struct reading *reading, const char *name)
{
	struct topology *topology = reading->topology;
	uint16_t index = topology->begin.connectors;
	if (index == LIMIT_CONNECTORS) {
		return complain(reading, "more than %u connectors", LIMIT_CONNECTORS);
	}
	struct bridge_connector *connector = &topology->connectors[index];
	if (strlen(name) >= sizeof(connector->name) ||
			!connector_name_parse(name, &connector->type, &connector->type_id)) {
		return complain(reading, "\"%s\" is not a name as in sysfs, such as HDMI-A-1",
				name);
	}
	for (uint16_t i = 0; i < index; i++) {
		if (strcmp(topology->connectors[i].name, name) == 0) {
			return complain(reading, "connector \"%s\" is there twice", name);
		}
	}
	strcpy(connector->name, name);
	connector->index = index;
	connector->connection = BRIDGE_CONNECTION_CONNECTED;
	connector->edid = topology->edids[index];
	topology->begin.connectors++;
	return 1;
}

static int on_mode(struct reading *reading, struct bridge_connector *connector, const char *value)
{
	uint32_t width, height, refresh_hz = 60;
	const char *rest = value;
	bool good = size_parse(&rest, "@", 16384, &width, &height);
	if (good && strchr(value, '@')) {
		good = number_parse(&rest, "", 1, 500, &refresh_hz);
	}
	if (!good || *rest) {
		return complain(reading, "mode is WIDTHxHEIGHT or WIDTHxHEIGHT@HZ");
	}
	size_t room = sizeof(connector->modes) / sizeof(connector->modes[0]);
	if (connector->modes_count == room) {
		return complain(reading, "more than %zu modes", room);
	}
	struct bridge_mode *mode = &connector->modes[connector->modes_count];
	topology_make_mode((uint16_t)width, (uint16_t)height, refresh_hz, mode);
	mode->type = DRM_MODE_TYPE_DRIVER |
			(connector->modes_count == 0 ? DRM_MODE_TYPE_PREFERRED : 0u);
	connector->modes_count++;
	return 1;
}

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = digit ? strchr(digits, tolower((unsigned char)digit)) : NULL;
	return found ? (int)(found - digits) : -1;
}

static int on_edid(struct reading *reading, struct bridge_connector *connector, const char *value)
{
	uint8_t *edid = reading->topology->edids[connector->index];
	for (; *value; value += 2) {
		int high = hex_digit(value[0]);
		int low = high < 0 ? -1 : hex_digit(value[1]);
		if (low < 0) {
			return complain(reading, "edid is pairs of hexadecimal digits");
		}
		if (connector->edid_bytes == TOPOLOGY_EDID_BYTES) {
			return complain(reading, "EDID of more than %u bytes", TOPOLOGY_EDID_BYTES);
		}
		edid[connector->edid_bytes++] = (uint8_t)(high << 4 | low);
	}
	return 1;
}

static int on_edid_file(
		struct reading *reading, struct bridge_connector *connector, const char *value)
{
	char *copy = strdup(reading->path);
	if (!copy) {
		return complain(reading, "no memory");
	}
	auto_close int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	auto_close int file = dir < 0 ? -1 : openat(dir, value, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		return complain(reading, "%s: %s", value, strerror(errno));
	}
	ssize_t bytes = read(file, reading->topology->edids[connector->index], TOPOLOGY_EDID_BYTES);
	if (bytes <= 0) {
		return complain(reading, "%s: cannot be read, or is empty", value);
	}
	connector->edid_bytes = (uint32_t)bytes;
	return 1;
}

static int on_crtcs(struct reading *reading, uint16_t index, const char *value)
{
	const char *rest = value;
	while (*rest) {
		uint32_t crtc;
		if (!number_parse(&rest, ",", 0, LIMIT_CRTCS - 1, &crtc)) {
			return complain(reading, "crtcs is a list of numbers with commas between");
		}
		reading->crtcs_of_connector[index] |= 1u << crtc;
	}
	return 1;
}

static int on_connection(
		struct reading *reading, struct bridge_connector *connector, const char *value)
{
	static const char *const names[] = {
			[BRIDGE_CONNECTION_CONNECTED] = "connected",
			[BRIDGE_CONNECTION_DISCONNECTED] = "disconnected",
			[BRIDGE_CONNECTION_UNKNOWN] = "unknown",
	};
	for (uint32_t i = BRIDGE_CONNECTION_CONNECTED; i <= BRIDGE_CONNECTION_UNKNOWN; i++) {
		if (strcmp(names[i], value) == 0) {
			connector->connection = i;
			return 1;
		}
	}
	return complain(reading, "connection is connected, disconnected or unknown");
}

static int on_connector_value(struct reading *reading, const char *key, const char *value)
{
	uint16_t index = (uint16_t)(reading->topology->begin.connectors - 1);
	struct bridge_connector *connector = &reading->topology->connectors[index];
	if (strcmp(key, "mode") == 0) {
		return on_mode(reading, connector, value);
	}
	if (strcmp(key, "connection") == 0) {
		return on_connection(reading, connector, value);
	}
	if (strcmp(key, "edid") == 0) {
		return on_edid(reading, connector, value);
	}
	if (strcmp(key, "edid_file") == 0) {
		return on_edid_file(reading, connector, value);
	}
	if (strcmp(key, "crtcs") == 0) {
		return on_crtcs(reading, index, value);
	}
	if (strcmp(key, "size_mm") == 0) {
		const char *rest = value;
		if (!size_parse(&rest, "", 100000, &connector->width_mm, &connector->height_mm) ||
				*rest) {
			return complain(reading, "size_mm is WIDTHxHEIGHT");
		}
		return 1;
	}
	return complain(reading, "unknown key \"%s\" in [connector]", key);
}

/* libinih's handler. */
static int on_value(void *data, const char *section, const char *key, const char *value)
{
	struct reading *reading = data;
	static const char connector[] = "connector ";
	bool is_connector = strncmp(section, connector, sizeof(connector) - 1) == 0;
	if (!is_connector && strcmp(section, "screen") != 0) {
		return complain(reading, "\"%s\" outside [screen] and [connector NAME]", key);
	}
	bool begins = strcmp(section, reading->section) != 0;
	if (begins && is_connector &&
			!on_connector_begin(reading, section + sizeof(connector) - 1)) {
		return 0;
	}
	snprintf(reading->section, sizeof(reading->section), "%s", section);
	return is_connector ? on_connector_value(reading, key, value)
			    : on_screen_value(reading, key, value);
}

/* What can only be said at the end of the file. */
static void topology_complete(struct reading *reading)
{
	struct topology *topology = reading->topology;
	if (topology->begin.connectors == 0) {
		complain(reading, "no [connector NAME] with a mode: nothing could be shown");
	}
	uint32_t all = (1u << topology->begin.crtcs) - 1;
	for (uint16_t i = 0; i < topology->begin.connectors; i++) {
		uint32_t wanted = reading->crtcs_of_connector[i];
		if (wanted & ~all) {
			complain(reading, "%s: there are only %u crtcs",
					topology->connectors[i].name, topology->begin.crtcs);
		}
		topology->connectors[i].crtcs = wanted ? wanted : all;
	}
	for (uint16_t i = 0; i < topology->begin.crtcs; i++) {
		topology->crtcs[i] = (struct bridge_crtc) {.index = i};
	}
}

int headless_config_read(
		const char *path, struct topology *ret_topology, char *reason, size_t reason_bytes)
{
	memset(ret_topology, 0, sizeof(*ret_topology));
	ret_topology->begin = (struct bridge_topology_begin) {
			.driver = "headless",
			.width_min = 1,
			.width_max = 4096,
			.height_min = 1,
			.height_max = 4096,
			.cursor_width = 64,
			.cursor_height = 64,
			.crtcs = 1,
	};
	struct reading reading = {
			.file = fopen(path, "re"),
			.path = path,
			.topology = ret_topology,
			.reason = reason,
			.reason_bytes = reason_bytes,
	};
	if (!reading.file) {
		int error = -errno;
		snprintf(reason, reason_bytes, "%s: %s", path, strerror(errno));
		return error;
	}
	int line = ini_parse_stream(line_read, &reading, on_value, &reading);
	fclose(reading.file);
	if (line != 0) {
		complain(&reading, "neither [section] nor key = value");
	}
	topology_complete(&reading);
	return reading.error;
}
