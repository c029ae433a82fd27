/*
 * The C codec behind a pipe, for round trips with the Python codec: reads u16 opcode, u32 length
 * and a payload, answers i32 result and, when it is not negative, the payload that the decoded
 * message encodes to. Ends with its input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "proto/bridge.h"
#include "proto/bridge_check.h"
#include "proto/wire.h"

static void answer(ssize_t result, const uint8_t *payload)
{
	uint8_t head[4];
	struct wire_writer writer = wire_writer(head, sizeof(head));
	wire_put_i32(&writer, (int32_t)result);
	fwrite(head, 1, sizeof(head), stdout);
	if (result > 0) {
		fwrite(payload, 1, (size_t)result, stdout);
	}
	fflush(stdout);
}

/* Answers one request. Returns 0, or -1 at the end of the input. */
static int serve(void)
{
	static uint8_t again[LIMIT_FRAME];
	uint8_t head[6];
	if (fread(head, 1, sizeof(head), stdin) != sizeof(head)) {
		return -1;
	}
	struct wire_reader reader = wire_reader(head, sizeof(head));
	uint16_t opcode = wire_get_u16(&reader);
	uint32_t length = wire_get_u32(&reader);
	/* A block of just that size: a sanitizer sees the first byte behind it. */
	uint8_t *payload = length <= LIMIT_FRAME ? malloc(length > 0 ? length : 1) : NULL;
	if (payload == NULL || fread(payload, 1, length, stdin) != length) {
		free(payload);
		return -1;
	}
	char line[120];
	bridge_dump(opcode, payload, length, line, sizeof(line));
	answer(bridge_reencode(opcode, payload, length, again, sizeof(again)), again);
	free(payload);
	return 0;
}

int main(void)
{
	while (serve() == 0) {
	}
	return 0;
}
