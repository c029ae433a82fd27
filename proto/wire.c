/*
 * Cursors over a payload. Invariant: at and left_bytes always name memory inside the caller's
 * buffer, and nothing moves any more after the first error.
 */
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct wire_reader wire_reader(const uint8_t *buffer, size_t length)
{
	return (struct wire_reader) {.at = buffer, .left_bytes = length};
}

/* The next BYTES bytes, or NULL when the reader is bad. */
static const uint8_t *reader_take(struct wire_reader *reader, size_t bytes)
{
	if (reader->bad || reader->left_bytes < bytes) {
		reader->bad = true;
		return NULL;
	}
	const uint8_t *at = reader->at;
	if (bytes > 0) {
		reader->at += bytes;
		reader->left_bytes -= bytes;
	}
	return at;
}

static uint64_t reader_number(struct wire_reader *reader, size_t bytes)
{
	const uint8_t *at = reader_take(reader, bytes);
	uint64_t value = 0;
	for (size_t i = 0; at != NULL && i < bytes; i++) {
		value |= (uint64_t)at[i] << (8 * i);
	}
	return value;
}

uint8_t wire_get_u8(struct wire_reader *reader)
{
	return (uint8_t)reader_number(reader, 1);
}

uint16_t wire_get_u16(struct wire_reader *reader)
{
	return (uint16_t)reader_number(reader, 2);
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
	return (uint32_t)reader_number(reader, 4);
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
	return reader_number(reader, 8);
}

int32_t wire_get_i32(struct wire_reader *reader)
{
	return (int32_t)wire_get_u32(reader);
}

uint16_t wire_get_count(struct wire_reader *reader, uint16_t max)
{
	uint16_t count = wire_get_u16(reader);
	if (count > max) {
		reader->bad = true;
		return 0;
	}
	return count;
}

void wire_get_string(struct wire_reader *reader, char *to, size_t size)
{
	assert(size > 0);
	to[0] = '\0';
	uint16_t length = wire_get_u16(reader);
	wire_require(reader, length < size);
	const uint8_t *bytes = reader_take(reader, length);
	if (bytes == NULL || length == 0) {
		return;
	}
	if (memchr(bytes, '\0', length) != NULL || !wire_is_utf8(bytes, length)) {
		reader->bad = true;
		return;
	}
	memcpy(to, bytes, length);
	to[length] = '\0';
}

uint32_t wire_get_bytes(struct wire_reader *reader, const uint8_t **ret_bytes, uint32_t max)
{
	uint32_t count = wire_get_u32(reader);
	wire_require(reader, count <= max);
	*ret_bytes = reader_take(reader, count);
	return reader->bad ? 0 : count;
}

void wire_require(struct wire_reader *reader, bool good)
{
	if (!good) {
		reader->bad = true;
	}
}

int wire_reader_end(const struct wire_reader *reader)
{
	return reader->bad || reader->left_bytes > 0 ? -EBADMSG : 0;
}

int wire_reader_head(const struct wire_reader *reader, const uint8_t *buffer, size_t tail_max)
{
	if (reader->bad || reader->left_bytes > tail_max) {
		return -EBADMSG;
	}
	return (int)(reader->at - buffer);
}

struct wire_writer wire_writer(uint8_t *buffer, size_t size)
{
	return (struct wire_writer) {.at = buffer, .left_bytes = size};
}

/* Room for BYTES bytes, or NULL once the writer has failed. */
static uint8_t *writer_take(struct wire_writer *writer, size_t bytes)
{
	if (writer->error == 0 && writer->left_bytes < bytes) {
		writer->error = -EMSGSIZE;
	}
	if (writer->error != 0) {
		return NULL;
	}
	uint8_t *at = writer->at;
	if (bytes > 0) {
		writer->at += bytes;
		writer->left_bytes -= bytes;
	}
	return at;
}

static void writer_number(struct wire_writer *writer, uint64_t value, size_t bytes)
{
	uint8_t *at = writer_take(writer, bytes);
	for (size_t i = 0; at != NULL && i < bytes; i++) {
		at[i] = (uint8_t)(value >> (8 * i));
	}
}

void wire_put_u8(struct wire_writer *writer, uint8_t value)
{
	writer_number(writer, value, 1);
}

void wire_put_u16(struct wire_writer *writer, uint16_t value)
{
	writer_number(writer, value, 2);
}

void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
	writer_number(writer, value, 4);
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
	writer_number(writer, value, 8);
}

void wire_put_i32(struct wire_writer *writer, int32_t value)
{
	writer_number(writer, (uint32_t)value, 4);
}

uint16_t wire_put_count(struct wire_writer *writer, uint16_t count, uint16_t max)
{
	wire_permit(writer, count <= max);
	wire_put_u16(writer, count);
	return writer->error == 0 ? count : 0;
}

void wire_put_string(struct wire_writer *writer, const char *from, size_t size)
{
	size_t length = strnlen(from, size);
	wire_permit(writer, length < size && wire_is_utf8((const uint8_t *)from, length));
	wire_put_u16(writer, (uint16_t)length);
	uint8_t *at = writer_take(writer, length);
	if (at != NULL && length > 0) {
		memcpy(at, from, length);
	}
}

void wire_put_bytes(struct wire_writer *writer, const uint8_t *bytes, uint32_t count, uint32_t max)
{
	wire_permit(writer, count <= max);
	wire_put_u32(writer, count);
	uint8_t *at = writer_take(writer, count);
	if (at != NULL && count > 0) {
		memcpy(at, bytes, count);
	}
}

void wire_permit(struct wire_writer *writer, bool good)
{
	if (!good && writer->error == 0) {
		writer->error = -EINVAL;
	}
}

ssize_t wire_writer_end(const struct wire_writer *writer, const uint8_t *buffer)
{
	return writer->error != 0 ? writer->error : writer->at - buffer;
}

/* Bytes of the UTF-8 sequence at BYTES, of which LEFT are there; 0 when it is not one. (RFC 3629,
 * section 4.) */
static size_t utf8_sequence(const uint8_t *bytes, size_t left)
{
	uint8_t first = bytes[0];
	if (first < 0x80) {
		return 1;
	}
	if (first < 0xC2 || first > 0xF4) {
		return 0;
	}
	size_t count = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (left < count) {
		return 0;
	}
	uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	if (bytes[1] < low || bytes[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < count; i++) {
		if (bytes[i] < 0x80 || bytes[i] > 0xBF) {
			return 0;
		}
	}
	return count;
}

bool wire_is_utf8(const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t count = utf8_sequence(bytes, length);
		if (count == 0) {
			return false;
		}
		bytes += count;
		length -= count;
	}
	return true;
}

struct wire_text wire_text(char *buffer, size_t size)
{
	assert(size > 0);
	buffer[0] = '\0';
	return (struct wire_text) {.at = buffer, .left_bytes = size};
}

void wire_text_add(struct wire_text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int count = vsnprintf(text->at, text->left_bytes, format, arguments);
	va_end(arguments);
	if (count <= 0) {
		return;
	}
	size_t moved = (size_t)count < text->left_bytes ? (size_t)count : text->left_bytes - 1;
	text->at += moved;
	text->left_bytes -= moved;
}

void wire_text_add_string(struct wire_text *text, const char *string)
{
	wire_text_add(text, "\"");
	for (; *string != '\0'; string++) {
		unsigned char byte = (unsigned char)*string;
		if (byte < 0x20 || byte > 0x7E || byte == '"' || byte == '\\') {
			wire_text_add(text, "\\x%02x", byte);
		} else {
			wire_text_add(text, "%c", byte);
		}
	}
	wire_text_add(text, "\"");
}
