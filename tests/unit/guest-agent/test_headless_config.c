/* The connectors file: what it says arrives, what is wrong in it is named with its line. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>
#include "guest-agent/headless_config.h"

static struct topology topology;
static char reason[512];

static int parse(const char *text)
{
	char path[256];
	test_path(path, sizeof(path), "screen.ini");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	reason[0] = 0;
	return headless_config_read(path, &topology, reason, sizeof(reason));
}

/* TEXT must be refused at LINE with a reason that has WORDS. */
static void refuse(const char *text, unsigned line, const char *words)
{
	char where[32];
	assert_true(parse(text) < 0);
	snprintf(where, sizeof(where), "screen.ini:%u: ", line);
	if (!strstr(reason, where) || !strstr(reason, words)) {
		fail_msg("\"%s\" does not say %s...%s", reason, where, words);
	}
}

static void everything_arrives(void **state)
{
	(void)state;
	char path[256];
	test_path(path, sizeof(path), "monitor.bin");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs("EDID!", file);
	fclose(file);
	assert_int_equal(parse("[screen]\ncrtcs = 2\nsize_max = 2048x1024\ncursor_max = 100\n"
			       "[connector HDMI-A-2]\nmode = 1024x768@75\nmode = 640x480\n"
			       "size_mm = 300x200\ncrtcs = 1\nedid = 00ff\nedid = A5\n"
			       "[connector DP-1]\nconnection = disconnected\n"
			       "edid_file = monitor.bin\n"),
			0);
	assert_int_equal(topology.begin.crtcs, 2);
	assert_int_equal(topology.begin.connectors, 2);
	assert_int_equal(topology.begin.width_max, 2048);
	assert_int_equal(topology.begin.height_max, 1024);
	assert_int_equal(topology.begin.cursor_height, 100);
	const struct bridge_connector *hdmi = &topology.connectors[0];
	assert_string_equal(hdmi->name, "HDMI-A-2");
	assert_int_equal(hdmi->type, 11);
	assert_int_equal(hdmi->type_id, 2);
	assert_int_equal(hdmi->connection, BRIDGE_CONNECTION_CONNECTED);
	assert_int_equal(hdmi->modes_count, 2);
	assert_int_equal(hdmi->modes[0].hdisplay, 1024);
	assert_int_equal(hdmi->modes[0].vrefresh, 75);
	assert_int_equal(hdmi->modes[1].vdisplay, 480);
	assert_int_equal(hdmi->crtcs, 2);
	assert_int_equal(hdmi->width_mm, 300);
	assert_int_equal(hdmi->edid_bytes, 3);
	assert_memory_equal(hdmi->edid, "\x00\xff\xa5", 3);
	const struct bridge_connector *dp = &topology.connectors[1];
	assert_int_equal(dp->connection, BRIDGE_CONNECTION_DISCONNECTED);
	assert_int_equal(dp->crtcs, 3);
	assert_memory_equal(dp->edid, "EDID!", 5);
}

static void mode_has_plausible_timing(void **state)
{
	(void)state;
	struct bridge_mode mode;
	topology_make_mode(1920, 1080, 60, &mode);
	assert_string_equal(mode.name, "1920x1080");
	assert_true(mode.hdisplay < mode.hsync_start && mode.hsync_start < mode.hsync_end &&
			mode.hsync_end < mode.htotal);
	assert_true(mode.vdisplay < mode.vsync_start && mode.vsync_start < mode.vsync_end &&
			mode.vsync_end < mode.vtotal);
	double hz = mode.clock * 1000.0 / ((double)mode.htotal * mode.vtotal);
	assert_true(hz > 59.9 && hz < 60.1);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	refuse("[connector X-1]\nmode = 1x1\n", 2, "not a name as in sysfs");
	refuse("[connector HDMI-A-]\nmode = 1x1\n", 2, "not a name as in sysfs");
	refuse("[connector DP-1]\nmode = 1024\n", 2, "mode is WIDTHxHEIGHT");
	refuse("[connector DP-1]\nmode = 1024x768@\n", 2, "mode is WIDTHxHEIGHT");
	refuse("[connector DP-1]\nmode = 1024x768x3\n", 2, "mode is WIDTHxHEIGHT");
	refuse("[connector DP-1]\nmode = 0x768\n", 2, "mode is WIDTHxHEIGHT");
	refuse("[connector DP-1]\nmode = 1x1\ncolour = red\n", 3, "unknown key \"colour\"");
	refuse("[screen]\ncrtcs = 17\n", 2, "from 1 to 16");
	refuse("[screen]\ncursor_max = 257\n", 2, "from 16 to 256");
	refuse("[screen]\nwidth = 1\n", 2, "unknown key \"width\"");
	refuse("[scren]\ncrtcs = 1\n", 2, "outside [screen]");
	refuse("crtcs = 1\n", 1, "outside [screen]");
	refuse("[connector DP-1]\nmode = 1x1\nedid = 0g\n", 3, "hexadecimal");
	refuse("[connector DP-1]\nmode = 1x1\nedid = 012\n", 3, "hexadecimal");
	refuse("[connector DP-1]\nedid_file = missing.bin\n", 2, "missing.bin");
	refuse("[connector DP-1]\nmode = 1x1\n mode = 2x2\n", 3, "begins with a blank");
	refuse("[connector DP-1]\nwhat\n", 2, "neither [section] nor key = value");
	refuse("[screen]\ncrtcs = 1\n", 2, "no [connector NAME]");
	refuse("[connector DP-1]\nmode = 1x1\n[connector DP-2]\nmode = 1x1\n[connector DP-1]\n"
	       "mode = 1x1\n",
			6, "there twice");
	refuse("[connector DP-1]\nconnection = maybe\n", 2, "connection is");
	refuse("[connector DP-1]\ncrtcs = 1\n", 2, "only 1 crtcs");
	char line[300];
	snprintf(line, sizeof(line), "[screen]\n; %0220d\n", 0);
	refuse(line, 2, "line longer");
}

/* COUNT times the text that FORMAT makes of a number from 1, behind HEAD. The caller frees it. */
static char *repeat(const char *head, const char *format, unsigned count)
{
	size_t room = strlen(head) + count * (strlen(format) + 16) + 1, used;
	char *text = malloc(room);
	assert_non_null(text);
	used = (size_t)snprintf(text, room, "%s", head);
	for (unsigned i = 1; i <= count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		used += (size_t)snprintf(text + used, room - used, format, i);
#pragma GCC diagnostic pop
	}
	return text;
}

/* COUNT pieces are accepted, one more is refused with WORDS, and COUNT are accepted again. */
static void limit(const char *head, const char *format, unsigned count, const char *words)
{
	char *most = repeat(head, format, count);
	char *more = repeat(head, format, count + 1);
	assert_int_equal(parse(most), 0);
	assert_true(parse(more) < 0);
	if (!strstr(reason, words)) {
		fail_msg("\"%s\" does not say %s", reason, words);
	}
	assert_int_equal(parse(most), 0);
	free(most);
	free(more);
}

static void limits_are_kept(void **state)
{
	(void)state;
	limit("", "[connector DP-%u]\nmode = 1x1\n", LIMIT_CONNECTORS, "more than 16 connectors");
	assert_int_equal(topology.begin.connectors, LIMIT_CONNECTORS);
	limit("[connector DP-1]\n", "mode = 640x480@%u\n", 128, "more than 128 modes");
	assert_int_equal(topology.connectors[0].modes_count, 128);
	limit("[connector DP-1]\nmode = 1x1\n", "edid = %08x\n", TOPOLOGY_EDID_BYTES / 4,
			"EDID of more than 4096 bytes");
	assert_int_equal(topology.connectors[0].edid_bytes, TOPOLOGY_EDID_BYTES);
	char text[100];
	for (unsigned crtcs = LIMIT_CRTCS; crtcs < LIMIT_CRTCS + 2; crtcs++) {
		snprintf(text, sizeof(text), "[screen]\ncrtcs = %u\n[connector DP-1]\nmode = 1x1\n",
				crtcs);
		assert_int_equal(parse(text), crtcs > LIMIT_CRTCS ? -EINVAL : 0);
	}
	for (unsigned px = LIMIT_CURSOR_PX; px < LIMIT_CURSOR_PX + 2; px++) {
		snprintf(text, sizeof(text),
				"[screen]\ncursor_max = %u\n[connector DP-1]\nmode = 1x1\n", px);
		assert_int_equal(parse(text), px > LIMIT_CURSOR_PX ? -EINVAL : 0);
	}
}

static void file_must_be_there(void **state)
{
	(void)state;
	assert_true(headless_config_read("/nonexistent", &topology, reason, sizeof(reason)) < 0);
	assert_non_null(strstr(reason, "/nonexistent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(everything_arrives),
			TEST(mode_has_plausible_timing),
			TEST(mistakes_are_named),
			TEST(limits_are_kept),
			TEST(file_must_be_there),
	};
	return test_main("headless_config", tests);
}
