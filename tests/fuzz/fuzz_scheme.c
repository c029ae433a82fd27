/*
 * A scheme under any sequence of records, daemon behaviours and kernel faults: the input is a list
 * of commands. The kernel's own word is kept (a buffer is where it says), all else is arbitrary.
 * Every request must have exactly one answer at the end, and nothing may be touched that is not
 * there.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "common/loop.h"
#include "schemes/scheme/libredox.h"
#include "tests/unit/scheme/fake_daemon.h"

#define COMMANDS_MAX 600u
#define IDS_MAX      64u
#define BUFFER_BYTES 8192u

enum command {
	COMMAND_OPEN,
	COMMAND_REQUEST,
	COMMAND_CANCEL,
	COMMAND_CLOSE,
	COMMAND_ANSWER,
	COMMAND_TURN,
	COMMAND_NOTIFY,
	COMMAND_BEHAVE,
	COMMAND_TRANSFER,
	COMMAND_FAULT,
	COMMAND_REGISTER,
	COMMAND_COUNT,
};

struct input {
	const uint8_t *data;
	size_t left;
};

struct run {
	uint64_t ids[IDS_MAX];
	unsigned id_count;
	uint32_t last_tag;
	char *paths;
	uint8_t *buffer;
};

static uint8_t take_byte(struct input *input)
{
	if (!input->left) {
		return 0;
	}
	input->left--;
	return *input->data++;
}

static uint64_t take_word(struct input *input)
{
	uint64_t word = 0;
	size_t size = take_byte(input) % 9; // short ones often

	for (size_t i = 0; i < size; i++) {
		word = word << 8 | take_byte(input);
	}
	return word;
}

static uint64_t take_id(struct input *input, const struct run *run)
{
	uint8_t which = take_byte(input);

	return which == 255 ? take_word(input) : run->ids[which % run->id_count];
}

static void do_open(struct input *input, struct run *run)
{
	uint64_t parent = take_id(input, run);
	uint32_t flags = (uint32_t)take_word(input);
	size_t length = take_byte(input);

	for (size_t i = 0; i < length; i++) {
		run->paths[i] = (char)take_byte(input);
	}
	uint32_t tag = fake_send(SCHEME_OP_OPEN_AT, parent, POINTER(run->paths), length,
			flags & 1 ? REDOX_O_RDWR : flags, take_word(input), FAKE_OWNER);
	fake.write_eagain = 0;
	daemon_turn();
	FUZZ_ASSERT(fake_answers(tag) == 1);
	if (!redox_failed(fake_answer(tag).result) && run->id_count < IDS_MAX) {
		run->ids[run->id_count++] = fake_answer(tag).result;
	}
}

static void do_request(struct input *input, struct run *run)
{
	uint64_t args[6] = {take_id(input, run)};
	uint8_t opcode = take_byte(input);
	bool has_buffer = true;

	for (unsigned i = 1; i < 6; i++) {
		args[i] = take_word(input);
	}
	switch (opcode) {
	case SCHEME_OP_FCNTL:
	case SCHEME_OP_FEVENT:
	case SCHEME_OP_SENDFD:
	case SCHEME_OP_RECVFD:
	case SCHEME_OP_MMAP_PREP:
	case SCHEME_OP_MUNMAP:
		has_buffer = false;
		break;
	case SCHEME_OP_CANCEL:
	case SCHEME_OP_CLOSE_MSG:
	case SCHEME_OP_DETACH:
		return; // these have no answer
	default:
		break;
	}
	if (has_buffer) {
		args[SCHEME_ARG_LENGTH] %= BUFFER_BYTES + 1;
		args[SCHEME_ARG_BUFFER] =
				POINTER(run->buffer) + BUFFER_BYTES - args[SCHEME_ARG_LENGTH];
		if (!args[SCHEME_ARG_LENGTH]) {
			args[SCHEME_ARG_BUFFER] = NO_BUFFER;
		}
	}
	run->last_tag = fake_send_from(FAKE_PID + args[5] % 3, opcode, args);
}

/* A root goes when its name has gone. */
static void do_close(uint64_t id)
{
	for (unsigned i = 0; i < FAKE_NAMES; i++) {
		if (fake.names[i].root == id) {
			fake.names[i] = (struct fake_name) {0};
		}
	}
	fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, id);
}

static void do_answer(struct input *input)
{
	struct daemon *d = &daemon_state;

	if (!d->parked_count) {
		return;
	}
	unsigned i = take_byte(input) % d->parked_count;
	struct request *request = d->parked[i];
	d->parked[i] = d->parked[--d->parked_count];
	request_answer(request, (int64_t)take_word(input));
}

static void do_behave(struct input *input)
{
	struct daemon *d = &daemon_state;
	uint8_t what = take_byte(input);

	d->park = what & 1;
	d->answer_inside = what & 2;
	d->open_result = what & 4 ? SCHEME_OPEN_POSITIONED : what & 8 ? -2 : 0;
	d->ops.cancel = what & 16 ? NULL : daemon_ops.cancel;
	d->result = (int64_t)take_word(input);
	d->ready = take_byte(input);
	if (!d->ops.cancel) {
		d->park = false;
	}
}

static void do_transfer(struct input *input)
{
	struct daemon *d = &daemon_state;

	d->get = take_word(input) % sizeof(d->bytes);
	d->put = take_word(input) % sizeof(d->bytes);
	d->get_offset = take_word(input);
}

static void do_command(struct input *input, struct run *run)
{
	struct daemon *d = &daemon_state;

	switch (take_byte(input) % COMMAND_COUNT) {
	case COMMAND_OPEN:
		do_open(input, run);
		break;
	case COMMAND_REQUEST:
		do_request(input, run);
		break;
	case COMMAND_CANCEL:
		fake_send_oneway(SCHEME_OP_CANCEL, SCHEME_SQE_ONEWAY,
				run->last_tag - take_byte(input) % 4, 0);
		break;
	case COMMAND_CLOSE:
		do_close(take_id(input, run));
		break;
	case COMMAND_ANSWER:
		do_answer(input);
		break;
	case COMMAND_TURN:
		daemon_turn();
		break;
	case COMMAND_NOTIFY:
		scheme_notify(d->scheme, d->last_parent, take_byte(input));
		break;
	case COMMAND_BEHAVE:
		do_behave(input);
		break;
	case COMMAND_TRANSFER:
		do_transfer(input);
		break;
	case COMMAND_FAULT:
		fake.write_records = take_byte(input) % 4;
		fake.write_eagain = take_byte(input) % 4;
		break;
	case COMMAND_REGISTER:
		scheme_register(d->scheme, take_byte(input) & 1 ? "other" : "test");
		if (run->id_count < IDS_MAX) {
			run->ids[run->id_count++] = fake.last_id;
		}
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct run run = {.paths = malloc(256), .buffer = malloc(BUFFER_BYTES)};
	struct daemon *d = &daemon_state;
	void *memory;

	FUZZ_ASSERT(run.paths && run.buffer);
	memset(run.buffer, 0, BUFFER_BYTES);
	daemon_setup(NULL);
	FUZZ_ASSERT(scheme_memory_create(4096, &memory) == 0);
	d->memory = memory;
	run.ids[run.id_count++] = d->root;
	for (unsigned i = 0; i < COMMANDS_MAX && input.left; i++) {
		do_command(&input, &run);
	}
	fake.write_eagain = 0;
	daemon_teardown(NULL);
	FUZZ_ASSERT(!fake.violations && !fake.outstanding && d->opens >= d->closes);
	scheme_memory_destroy(memory, 4096);
	free(run.paths);
	free(run.buffer);
	return 0;
}
