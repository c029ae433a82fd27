/*
 * Everything that bytes from a peer reach before a program's own handlers: link framing, greeting,
 * the table of messages, rests of long frames. The input's first byte says which side we are,
 * whether a good hello goes ahead, and how the bytes are cut; the rest is what the peer says before
 * it hangs up.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/session.h"
#include "proto/bridge.h"

enum choice {
	CHOICE_AGENT = 1,   // else we are a display
	CHOICE_GREETED = 2, // a good hello goes ahead
	CHOICE_FETCH = 4,   // rests are fetched, else skipped
	CHOICE_REFUSE = 8,  // the handler refuses every 4th frame
	CHOICE_CUTS = 0xf0, // size of the pieces: 1 << (choice >> 4)
};

struct run {
	struct session *session;
	unsigned choice;
	unsigned ups, downs;
	unsigned frames;
	uint32_t rest_bytes; // of the frame that is being fetched
	uint32_t sum;        // touches every byte, for the sanitizer
};

static void on_up(void *data, const struct bridge_hello *peer)
{
	struct run *run = data;

	run->ups++;
	FUZZ_ASSERT(run->ups == 1 && session_is_up(run->session));
	FUZZ_ASSERT(memchr(peer->name, '\0', sizeof(peer->name)) != NULL);
	FUZZ_ASSERT(peer->role ==
			(run->choice & CHOICE_AGENT ? BRIDGE_ROLE_DISPLAY : BRIDGE_ROLE_AGENT));
}

static void check_first_sight(struct run *run, const struct link_frame *frame)
{
	const struct bridge_message_info *info = bridge_message_find(frame->header.opcode);
	uint32_t peer_role = run->choice & CHOICE_AGENT ? BRIDGE_ROLE_DISPLAY : BRIDGE_ROLE_AGENT;

	FUZZ_ASSERT(info != NULL && info->state == BRIDGE_STATE_UP && info->from & 1u << peer_role);
	FUZZ_ASSERT(frame->header.length >= info->min && frame->header.length <= info->max);
	FUZZ_ASSERT(frame->payload_bytes + frame->rest_bytes == frame->header.length);
	FUZZ_ASSERT(frame->rest_bytes == 0 || frame->payload_bytes == LIMIT_FRAME_HEAD);
	for (uint32_t i = 0; i < frame->payload_bytes; i++) {
		run->sum += frame->payload[i];
	}
}

static int on_frame(void *data, const struct link_frame *frame)
{
	struct run *run = data;

	FUZZ_ASSERT(run->ups == 1 && run->downs == 0);
	if (run->rest_bytes == 0) {
		check_first_sight(run, frame);
		run->frames++;
		run->rest_bytes = frame->rest_bytes;
	} else {
		FUZZ_ASSERT(frame->payload_bytes == 0 && frame->rest_bytes == run->rest_bytes);
	}
	if (run->choice & CHOICE_REFUSE && run->frames % 4 == 0) {
		return -EBADMSG;
	}
	while (run->choice & CHOICE_FETCH && run->rest_bytes > 0) {
		uint8_t part[1000];
		ssize_t got = session_recv_into(run->session, part, sizeof(part));

		if (got < 0) {
			return (int)got;
		}
		FUZZ_ASSERT(got > 0 && (uint32_t)got <= run->rest_bytes);
		run->rest_bytes -= (uint32_t)got;
	}
	run->rest_bytes = 0;
	return 0;
}

static void on_down(void *data, int error, const char *reason)
{
	struct run *run = data;

	FUZZ_ASSERT(error <= 0 && reason[0] != '\0');
	run->downs++;
	FUZZ_ASSERT(run->downs == 1);
}

static void peer_say(int peer, struct loop *loop, const uint8_t *bytes, size_t size, size_t piece)
{
	while (size > 0) {
		size_t part = size < piece ? size : piece;
		ssize_t sent = send(peer, bytes, part, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (loop_turn(loop, 0) < 0 || sent == 0) {
			abort();
		}
		if (sent < 0 && errno != EAGAIN) {
			return; // it hung up on us
		}
		bytes += sent < 0 ? 0 : sent;
		size -= sent < 0 ? 0 : (size_t)sent;
	}
}

static void peer_greet(int peer, struct loop *loop, unsigned choice)
{
	struct bridge_hello hello = {.version = 1, .frame_max = 4096, .name = "fuzz"};
	uint8_t frame[LINK_HEADER_BYTES + BRIDGE_HELLO_MAX] = {0};

	hello.role = choice & CHOICE_AGENT ? BRIDGE_ROLE_DISPLAY : BRIDGE_ROLE_AGENT;
	ssize_t length = bridge_hello_encode(&hello, frame + LINK_HEADER_BYTES, BRIDGE_HELLO_MAX);
	FUZZ_ASSERT(length > 0);
	frame[0] = (uint8_t)length;
	frame[4] = BRIDGE_HELLO;
	peer_say(peer, loop, frame, LINK_HEADER_BYTES + (size_t)length, sizeof(frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct session_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
	struct session_config config = {"fuzzed", BRIDGE_ROLE_DISPLAY, 1u << BRIDGE_ROLE_AGENT, 1};
	struct run run = {.choice = size > 0 ? data[0] : 0};
	struct loop *loop;
	int fds[2];

	if (size == 0) {
		return 0;
	}
	setenv("LOG", "error", 1);
	log_init("fuzz");
	if (run.choice & CHOICE_AGENT) {
		config.role = BRIDGE_ROLE_AGENT;
		config.peer_roles = 1u << BRIDGE_ROLE_DISPLAY;
	}
	if (loop_create(&loop) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
			session_accept(loop, &config, fds[0], &ops, &run, &run.session) < 0) {
		abort();
	}
	if (run.choice & CHOICE_GREETED) {
		peer_greet(fds[1], loop, run.choice);
		FUZZ_ASSERT(run.ups == 1);
	}
	peer_say(fds[1], loop, data + 1, size - 1, (size_t)1 << (run.choice >> 4));
	close(fds[1]);
	for (unsigned turn = 0; run.downs == 0; turn++) {
		FUZZ_ASSERT(turn < 100000);
		(void)loop_turn(loop, 100);
	}
	FUZZ_ASSERT(!session_is_up(run.session));
	session_destroy(run.session);
	loop_destroy(loop);
	return 0;
}
