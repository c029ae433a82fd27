/*
 * Each allocation of the agent fails once: at its start, while it greets, in a commit. Nothing may
 * crash or leak; what is running must serve the next bridge as soon as there is memory again.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/fd.h"
#include "guest-agent/headless.h"
#include "guest-agent/screen.h"
#include "guest-agent/server.h"
#include "proto/bridge.h"

#define POINTS_MIN 12 // of the scenario; fewer: the injection does not reach what it should

static unsigned allocations;
static unsigned failing; // number of the allocation that fails; 0: none

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *pointer, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *pointer, size_t bytes);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	if (failing != 0 && ++allocations == failing) {
		errno = ENOMEM;
		return true;
	}
	return false;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *pointer, size_t bytes)
{
	return fails() ? NULL : __real_realloc(pointer, bytes);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

struct agent {
	struct loop *loop;
	struct screen *screen;
	struct server *server;
};

static uint8_t stream[65536]; // what the bridge says
static size_t stream_bytes;

static void stream_frame(uint16_t opcode, const uint8_t *payload, ssize_t bytes, size_t tail_bytes)
{
	assert_true(bytes > 0 && stream_bytes + (size_t)bytes + tail_bytes + 12 < sizeof(stream));
	uint32_t length = (uint32_t)((size_t)bytes + tail_bytes);
	uint8_t *out = stream + stream_bytes;
	memset(out, 0, 12 + length);
	memcpy(out, &length, sizeof(length));
	memcpy(out + 4, &opcode, sizeof(opcode));
	memcpy(out + 12, payload, (size_t)bytes);
	stream_bytes += 12 + length;
}

static void stream_commit(uint32_t id, uint16_t size_px)
{
	uint8_t buffer[BRIDGE_COMMIT_MAX];
	struct bridge_commit commit = {.id = id,
			.connectors_count = 1,
			.modes_count = 1,
			.modes = {{.clock = 1000, .hdisplay = size_px, .vdisplay = size_px}},
			.damage_count = 1,
			.damage = {{0, 0, size_px, size_px}}};
	stream_frame(BRIDGE_COMMIT, buffer, bridge_commit_encode(&commit, buffer, sizeof(buffer)),
			0);
	struct bridge_pixels pixels = {0};
	stream_frame(BRIDGE_PIXELS, buffer, bridge_pixels_encode(&pixels, buffer, sizeof(buffer)),
			(size_t)size_px * size_px * 4);
}

/* Greets, sets two modes, shows a cursor, asks for a sync. */
static void stream_make(void)
{
	uint8_t buffer[BRIDGE_HELLO_MAX];
	struct bridge_hello hello = {
			.version = 1, .role = BRIDGE_ROLE_DISPLAY, .epoch = 1, .frame_max = 65536};
	struct bridge_cursor_image image = {.width = 8, .height = 8};
	struct bridge_cursor_move move = {.visible = 1, .x = 2, .y = 3};
	struct bridge_sync sync = {.id = 5};
	stream_bytes = 0;
	stream_frame(BRIDGE_HELLO, buffer, bridge_hello_encode(&hello, buffer, sizeof(buffer)), 0);
	stream_commit(1, 32);
	stream_commit(2, 64);
	stream_frame(BRIDGE_CURSOR_IMAGE, buffer,
			bridge_cursor_image_encode(&image, buffer, sizeof(buffer)), 256);
	stream_frame(BRIDGE_CURSOR_MOVE, buffer,
			bridge_cursor_move_encode(&move, buffer, sizeof(buffer)), 0);
	stream_frame(BRIDGE_SYNC, buffer, bridge_sync_encode(&sync, buffer, sizeof(buffer)), 0);
}

/* Plays a bridge to its end. Returns whether its sync was answered. */
static bool bridge_play(struct agent *agent)
{
	static const uint8_t answer[] = {BRIDGE_SYNC_DONE, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0};
	uint8_t seen[16384];
	size_t bytes = 0;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			0);
	bool served = false;
	bool ended = server_add(agent->server, ends[1]) != 0;
	assert_true(ended ||
			send(ends[0], stream, stream_bytes, MSG_NOSIGNAL) == (ssize_t)stream_bytes);
	while (!ended && !served) {
		/* A failing turn is an error of the loop itself; it goes on. */
		loop_turn(agent->loop, 10);
		ssize_t got = recv(ends[0], seen + bytes, sizeof(seen) - bytes, 0);
		ended = got == 0 || (got < 0 && errno != EAGAIN);
		bytes += got > 0 ? (size_t)got : 0;
		served = bytes > sizeof(answer) &&
				memcmp(seen + bytes - sizeof(answer), answer, sizeof(answer)) == 0;
	}
	close(ends[0]);
	return served;
}

static bool agent_start(struct agent *agent, const char *path)
{
	char reason[512];
	struct backend *backend;
	*agent = (struct agent) {0};
	return loop_create(&agent->loop) == 0 &&
			headless_create(path, test_dir(), reason, sizeof(reason), &backend) == 0 &&
			screen_create(agent->loop, backend, false, &agent->screen) == 0 &&
			server_create(agent->loop, -1, agent->screen, &agent->server) == 0;
}

static void agent_stop(struct agent *agent)
{
	server_destroy(agent->server);
	screen_destroy(agent->screen);
	loop_destroy(agent->loop);
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	char path[256];
	FILE *file = fopen(test_path(path, sizeof(path), "screen.ini"), "we");
	assert_non_null(file);
	fputs("[connector HDMI-A-1]\nmode = 32x32\nmode = 64x64\nedid_file = screen.ini\n", file);
	fclose(file);
	stream_make();
	unsigned refused_start = 0, lost_bridge = 0, unharmed = 0;
	bool reached = true;
	for (unsigned point = 1; reached; point++) {
		struct agent agent;
		allocations = 0;
		failing = point;
		bool started = agent_start(&agent, path);
		bool served = started && bridge_play(&agent);
		reached = allocations >= point;
		failing = 0;
		refused_start += !started;
		lost_bridge += started && !served;
		unharmed += served;
		if (started) {
			assert_true(bridge_play(&agent));
		}
		agent_stop(&agent);
	}
	print_message("# %u starts refused, %u bridges lost, %u unharmed\n", refused_start,
			lost_bridge, unharmed - 1);
	assert_true(refused_start >= 5);
	assert_true(lost_bridge >= 2);
	assert_true(refused_start + lost_bridge + unharmed - 1 >= POINTS_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(every_allocation_may_fail)};
	return test_main("fault", tests);
}
