/*
 * Every decoder of the wire: the input is a u16 opcode and a payload. What decodes must encode to
 * the same bytes, and printing it must stay inside the line.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "proto/bridge.h"
#include "proto/bridge_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[LIMIT_FRAME];
	static uint8_t second[LIMIT_FRAME];
	char line[160];
	if (size < 2) {
		return 0;
	}
	uint16_t opcode = (uint16_t)(data[0] | data[1] << 8);
	bridge_dump(opcode, data + 2, size - 2, line, sizeof(line));
	FUZZ_ASSERT(memchr(line, '\0', sizeof(line)) != NULL);
	ssize_t count = bridge_reencode(opcode, data + 2, size - 2, first, sizeof(first));
	const struct bridge_message_info *info = bridge_message_find(opcode);
	if (count < 0) {
		FUZZ_ASSERT(count == (info == NULL ? -ENOENT : -EBADMSG));
		return 0;
	}
	FUZZ_ASSERT(info != NULL && (size_t)count >= info->min && (size_t)count <= info->max);
	FUZZ_ASSERT((size_t)count == size - 2 && memcmp(first, data + 2, size - 2) == 0);
	FUZZ_ASSERT(bridge_reencode(opcode, first, (size_t)count, second, sizeof(second)) == count);
	FUZZ_ASSERT(memcmp(first, second, (size_t)count) == 0);
	return 0;
}
