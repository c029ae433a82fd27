/*
 * Cursors over a payload, for the generated codec. Both stay inside the buffer and remember the
 * first error: after it a reader answers zeros and a writer writes nothing, so a codec needs one
 * check at its end.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wire_reader {
	const uint8_t *at;
	size_t left_bytes;
	bool bad; // sticky
};

/* Starts reading LENGTH bytes at BUFFER (borrowed; may be NULL when LENGTH is 0). */
struct wire_reader wire_reader(const uint8_t *buffer, size_t length);

/* Little-endian integers. Return 0 once the reader is bad, and make it bad when too few bytes are
 * left. */
uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
int32_t wire_get_i32(struct wire_reader *reader);

/* The u16 count of an array. Returns at most MAX, 0 when bad. */
uint16_t wire_get_count(struct wire_reader *reader, uint16_t max);

/* A string into TO (SIZE bytes, with room for the NUL): UTF-8 without NUL. TO is empty when bad. */
void wire_get_string(struct wire_reader *reader, char *to, size_t size);

/* Bytes with their u32 length: *RET_BYTES borrows from the buffer. Returns at most MAX, 0 (and
 * NULL) when bad. */
uint32_t wire_get_bytes(struct wire_reader *reader, const uint8_t **ret_bytes, uint32_t max);

/* Makes the reader bad unless GOOD. */
void wire_require(struct wire_reader *reader, bool good);

/* Ends a message. Returns 0, or -EBADMSG when something was wrong or bytes are left. */
int wire_reader_end(const struct wire_reader *reader);

/* Ends the head of a message whose tail has at most TAIL_MAX bytes. Returns the bytes read since
 * BUFFER, or -EBADMSG. */
int wire_reader_head(const struct wire_reader *reader, const uint8_t *buffer, size_t tail_max);

struct wire_writer {
	uint8_t *at;
	size_t left_bytes;
	int error; // sticky: 0, -EMSGSIZE or -EINVAL
};

/* Starts writing to BUFFER, which has room for SIZE bytes. */
struct wire_writer wire_writer(uint8_t *buffer, size_t size);

/* Little-endian integers. -EMSGSIZE when there is no room. */
void wire_put_u8(struct wire_writer *writer, uint8_t value);
void wire_put_u16(struct wire_writer *writer, uint16_t value);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
void wire_put_i32(struct wire_writer *writer, int32_t value);

/* The u16 count of an array. Returns COUNT, or 0 with -EINVAL when it is above MAX. */
uint16_t wire_put_count(struct wire_writer *writer, uint16_t count, uint16_t max);

/* A string out of an array of SIZE bytes. -EINVAL when it does not end there or is not UTF-8. */
void wire_put_string(struct wire_writer *writer, const char *from, size_t size);

/* Bytes with their u32 length. -EINVAL when there are more than MAX. */
void wire_put_bytes(struct wire_writer *writer, const uint8_t *bytes, uint32_t count, uint32_t max);

/* Sets -EINVAL unless GOOD. */
void wire_permit(struct wire_writer *writer, bool good);

/* Returns the bytes written since BUFFER, or the error. */
ssize_t wire_writer_end(const struct wire_writer *writer, const uint8_t *buffer);

/* Whether LENGTH bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool wire_is_utf8(const uint8_t *bytes, size_t length);

/* A line of text for a log, cut when the buffer is full. Always ends in NUL. */
struct wire_text {
	char *at;
	size_t left_bytes; // with the NUL
};

/* Starts a text in BUFFER of SIZE bytes (at least 1). */
struct wire_text wire_text(char *buffer, size_t size);

/* Appends as printf does. */
void wire_text_add(struct wire_text *text, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Appends STRING in quotes; what is not printable ASCII becomes \xNN, so that a peer cannot write
 * to a terminal. */
void wire_text_add_string(struct wire_text *text, const char *string);

#endif
