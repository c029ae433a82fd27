/* The cursors of proto/wire.h: bounds, stickiness, strings, and the log line that a peer cannot
 * abuse. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>

#include "proto/bridge.h"
#include "proto/wire.h"

static void numbers_are_little_endian(void **state)
{
	(void)state;
	uint8_t bytes[19];
	struct wire_writer writer = wire_writer(bytes, sizeof(bytes));
	wire_put_u8(&writer, 0x01);
	wire_put_u16(&writer, 0x0302);
	wire_put_u32(&writer, 0x07060504);
	wire_put_u64(&writer, UINT64_C(0x0F0E0D0C0B0A0908));
	wire_put_i32(&writer, -2);
	assert_int_equal(wire_writer_end(&writer, bytes), sizeof(bytes));
	for (uint8_t i = 0; i < 15; i++) {
		assert_int_equal(bytes[i], i + 1);
	}
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	assert_int_equal(wire_get_u8(&reader), 0x01);
	assert_int_equal(wire_get_u16(&reader), 0x0302);
	assert_int_equal(wire_get_u32(&reader), 0x07060504);
	assert_true(wire_get_u64(&reader) == UINT64_C(0x0F0E0D0C0B0A0908));
	assert_int_equal(wire_get_i32(&reader), -2);
	assert_int_equal(wire_reader_end(&reader), 0);
}

static void reader_stays_bad(void **state)
{
	(void)state;
	const uint8_t bytes[3] = {1, 2, 3};
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	assert_int_equal(wire_get_u32(&reader), 0);
	assert_int_equal(wire_get_u8(&reader), 0);
	assert_ptr_equal(reader.at, bytes);
	assert_int_equal(wire_reader_end(&reader), -EBADMSG);
	assert_int_equal(wire_reader_head(&reader, bytes, 100), -EBADMSG);
}

static void reader_of_nothing(void **state)
{
	(void)state;
	struct wire_reader reader = wire_reader(NULL, 0);
	assert_int_equal(wire_reader_end(&reader), 0);
	assert_int_equal(wire_get_u8(&reader), 0);
	assert_int_equal(wire_reader_end(&reader), -EBADMSG);
}

static void reader_refuses_bytes_left(void **state)
{
	(void)state;
	const uint8_t bytes[3] = {1, 2, 3};
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	wire_get_u16(&reader);
	assert_int_equal(wire_reader_end(&reader), -EBADMSG);
	assert_int_equal(wire_reader_head(&reader, bytes, 1), 2);
	assert_int_equal(wire_reader_head(&reader, bytes, 0), -EBADMSG);
}

static void count_is_bounded(void **state)
{
	(void)state;
	const uint8_t bytes[4] = {3, 0, 4, 0};
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	assert_int_equal(wire_get_count(&reader, 3), 3);
	assert_int_equal(wire_get_count(&reader, 3), 0);
	assert_true(reader.bad);
}

/* A string field with these octets, read into an array that holds at most 4. */
static bool string_is_taken(const char *octets, uint16_t length)
{
	uint8_t bytes[16] = {(uint8_t)length, (uint8_t)(length >> 8)};
	char text[5];
	assert_true(length <= sizeof(bytes) - 2);
	memcpy(bytes + 2, octets, length);
	struct wire_reader reader = wire_reader(bytes, (size_t)length + 2);
	wire_get_string(&reader, text, sizeof(text));
	if (reader.bad) {
		assert_string_equal(text, "");
		return false;
	}
	assert_int_equal(strlen(text), length);
	assert_memory_equal(text, octets, length);
	return wire_reader_end(&reader) == 0;
}

static void strings_are_checked(void **state)
{
	(void)state;
	assert_true(string_is_taken("", 0));
	assert_true(string_is_taken("abcd", 4));
	assert_false(string_is_taken("abcde", 5));
	assert_false(string_is_taken("a\0b", 3));
	assert_true(string_is_taken("\xC3\xA9", 2));
	assert_false(string_is_taken("\xC3", 1));
	assert_false(string_is_taken("\xFF", 1));
}

static void string_longer_than_the_payload(void **state)
{
	(void)state;
	const uint8_t bytes[3] = {2, 0, 'a'};
	char text[8] = "before";
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	wire_get_string(&reader, text, sizeof(text));
	assert_int_equal(wire_reader_end(&reader), -EBADMSG);
	assert_string_equal(text, "");
}

static bool is_utf8(const char *text)
{
	return wire_is_utf8((const uint8_t *)text, strlen(text));
}

/* Edges of the table in RFC 3629, section 4. */
static void utf8_edges(void **state)
{
	(void)state;
	const char *good[] = {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
			"\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
	const char *bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xC2\xC0",
			"\xE0\x9F\xBF", "\xE1\x80", "\xED\xA0\x80", "\xEF\xBF\x7F",
			"\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80",
			"\xF0\x90\x80\xC0", "\xFF"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(is_utf8(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(is_utf8(bad[i]));
	}
}

static void bytes_are_borrowed_and_bounded(void **state)
{
	(void)state;
	const uint8_t bytes[6] = {2, 0, 0, 0, 7, 8};
	const uint8_t *borrowed = NULL;
	struct wire_reader reader = wire_reader(bytes, sizeof(bytes));
	assert_int_equal(wire_get_bytes(&reader, &borrowed, 2), 2);
	assert_ptr_equal(borrowed, bytes + 4);
	assert_int_equal(wire_reader_end(&reader), 0);

	reader = wire_reader(bytes, sizeof(bytes));
	assert_int_equal(wire_get_bytes(&reader, &borrowed, 1), 0);
	assert_null(borrowed);
	assert_true(reader.bad);

	const uint8_t huge[4] = {0xFF, 0xFF, 0xFF, 0xFF};
	reader = wire_reader(huge, sizeof(huge));
	assert_int_equal(wire_get_bytes(&reader, &borrowed, UINT32_MAX), 0);
	assert_null(borrowed);
	assert_true(reader.bad);
}

static void writer_stops_at_its_first_error(void **state)
{
	(void)state;
	uint8_t bytes[4] = {9, 9, 9, 9};
	struct wire_writer writer = wire_writer(bytes, 3);
	wire_put_u16(&writer, 0);
	wire_put_u16(&writer, 0);
	wire_put_u8(&writer, 0);
	wire_permit(&writer, false);
	assert_int_equal(wire_writer_end(&writer, bytes), -EMSGSIZE);
	assert_int_equal(bytes[2], 9);
	assert_int_equal(bytes[3], 9);
}

static void writer_refuses_what_a_reader_would(void **state)
{
	(void)state;
	uint8_t bytes[32];
	const char unended[4] = {'a', 'b', 'c', 'd'};
	struct wire_writer writer = wire_writer(bytes, sizeof(bytes));
	wire_put_string(&writer, unended, sizeof(unended));
	assert_int_equal(wire_writer_end(&writer, bytes), -EINVAL);

	writer = wire_writer(bytes, sizeof(bytes));
	wire_put_string(&writer, "\xFF", 2);
	assert_int_equal(wire_writer_end(&writer, bytes), -EINVAL);

	writer = wire_writer(bytes, sizeof(bytes));
	assert_int_equal(wire_put_count(&writer, 4, 3), 0);
	assert_int_equal(wire_writer_end(&writer, bytes), -EINVAL);

	writer = wire_writer(bytes, sizeof(bytes));
	wire_put_bytes(&writer, bytes, 4, 3);
	assert_int_equal(wire_writer_end(&writer, bytes), -EINVAL);
}

static void text_is_cut_to_fit(void **state)
{
	(void)state;
	char line[8];
	struct wire_text text = wire_text(line, sizeof(line));
	wire_text_add(&text, "%d", 12345);
	wire_text_add(&text, "%d", 6789);
	wire_text_add(&text, "%d", 1);
	assert_string_equal(line, "1234567");
	text = wire_text(line, 1);
	wire_text_add(&text, "%d", 12345);
	assert_string_equal(line, "");
}

static void text_escapes_what_a_terminal_would_obey(void **state)
{
	(void)state;
	char line[64];
	struct wire_text text = wire_text(line, sizeof(line));
	wire_text_add_string(&text, "a\x1B[2J\n\"\\\xC2\x9B~");
	assert_string_equal(line, "\"a\\x1b[2J\\x0a\\x22\\x5c\\xc2\\x9b~\"");
}

static void dump_names_fields(void **state)
{
	(void)state;
	struct bridge_commit commit = {.id = 7,
			.crtc = 1,
			.connectors_count = 2,
			.connectors = {0, 3},
			.damage_count = 1,
			.damage = {{.x = 1, .y = 2, .width = 3, .height = 4}}};
	uint8_t bytes[BRIDGE_COMMIT_MAX];
	char line[200];
	ssize_t count = bridge_commit_encode(&commit, bytes, sizeof(bytes));
	assert_true(count > 0);
	bridge_dump(BRIDGE_COMMIT, bytes, (size_t)count, line, sizeof(line));
	assert_string_equal(line,
			"commit id=7 crtc=1 connectors=[ 0 3 ] modes=[ ] damage=[ { x=1 y=2 "
			"width=3 height=4 } ]");
	bridge_dump(BRIDGE_COMMIT, bytes, (size_t)count - 1, line, sizeof(line));
	assert_string_equal(line, "commit malformed, 23 bytes");
	bridge_dump(999, bytes, 5, line, sizeof(line));
	assert_string_equal(line, "unknown opcode 999, 5 bytes");
	const uint8_t pixels[6] = {2, 0, 1, 2, 3, 4};
	bridge_dump(BRIDGE_PIXELS, pixels, sizeof(pixels), line, sizeof(line));
	assert_string_equal(line, "pixels crtc=2 tail=4 bytes");
}

static void table_knows_messages(void **state)
{
	(void)state;
	const struct bridge_message_info *info = bridge_message_find(BRIDGE_PIXELS);
	assert_non_null(info);
	assert_string_equal(info->name, "pixels");
	assert_int_equal(info->from, 1u << BRIDGE_ROLE_DISPLAY);
	assert_int_equal(info->state, BRIDGE_STATE_UP);
	assert_int_equal(info->min, 2);
	assert_int_equal(info->max, 2 + BRIDGE_PIXELS_TAIL_MAX);
	info = bridge_message_find(BRIDGE_HELLO);
	assert_non_null(info);
	assert_int_equal(info->state, BRIDGE_STATE_GREETING);
	assert_true((info->from & 1u << BRIDGE_ROLE_AGENT) != 0);
	assert_true((info->from & 1u << BRIDGE_ROLE_AUDIO) != 0);
	assert_null(bridge_message_find(0));
	assert_null(bridge_message_find(UINT16_MAX));
}

static void tail_is_left_to_the_caller(void **state)
{
	(void)state;
	const uint8_t payload[5] = {3, 0, 1, 2, 3};
	struct bridge_pixels pixels;
	assert_int_equal(bridge_pixels_decode(&pixels, payload, sizeof(payload)), 2);
	assert_int_equal(pixels.crtc, 3);
	assert_int_equal(bridge_pixels_decode(&pixels, payload, 2), 2);
	assert_int_equal(bridge_pixels_decode(&pixels, payload, 1), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(numbers_are_little_endian),
			TEST(reader_stays_bad),
			TEST(reader_of_nothing),
			TEST(reader_refuses_bytes_left),
			TEST(count_is_bounded),
			TEST(strings_are_checked),
			TEST(string_longer_than_the_payload),
			TEST(utf8_edges),
			TEST(bytes_are_borrowed_and_bounded),
			TEST(writer_stops_at_its_first_error),
			TEST(writer_refuses_what_a_reader_would),
			TEST(text_is_cut_to_fit),
			TEST(text_escapes_what_a_terminal_would_obey),
			TEST(dump_names_fields),
			TEST(table_knows_messages),
			TEST(tail_is_left_to_the_caller),
	};
	return test_main("wire", tests);
}
