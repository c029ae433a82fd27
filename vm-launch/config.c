/*
 * Reads the configuration. libinih splits a line into key and value, but cuts lines at 200 bytes,
 * takes an indented line for more of the value before, ignores what follows a section's ']' and has
 * no line numbers for its handler. So each line passes check_line() first, which counts it,
 * refuses those cases, and opens sections by itself.
 *
 * The invariant: a struct config that is handed out passed every check; the first fault found is
 * the one reported, with its line.
 */
#include "vm-launch/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "vm-launch/config_check.h"
#include "vm-launch/config_key.h"
#include "vm-launch/config_value.h"

#define LINE_BYTES    190u
#define FILE_BYTES    (256u * 1024u)
#define SECTION_BYTES 64u

struct reader {
	struct config *config;
	const char *text; // what is left of it
	size_t left;
	unsigned line; // of the line read last, from 1
	int error;     // of the first fault; 0: none yet
	char *message;
	enum section section; // open one
	void *object;         // its struct
	char title[SECTION_BYTES];
	unsigned key_lines[CONFIG_KEYS]; // where each key of the open section stood; 0: not yet
};

/* Keeps the first fault. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) static int fault(
		struct reader *reader, unsigned line, const char *format, ...)
{
	if (reader->error) {
		return reader->error;
	}
	int used = snprintf(reader->message, CONFIG_MESSAGE_BYTES, "%s:%u: ", reader->config->path,
			line);

	if (used > 0 && (size_t)used < CONFIG_MESSAGE_BYTES) {
		va_list arguments;

		va_start(arguments, format);
		vsnprintf(reader->message + used, CONFIG_MESSAGE_BYTES - (size_t)used, format,
				arguments);
		va_end(arguments);
	}
	reader->error = -EINVAL;
	return -EINVAL;
}

static int no_memory(struct reader *reader)
{
	fault(reader, reader->line, "no memory");
	reader->error = -ENOMEM;
	return -ENOMEM;
}

static void open_section(struct reader *reader, enum section section, void *object)
{
	reader->section = section;
	reader->object = object;
	memset(reader->key_lines, 0, sizeof(reader->key_lines));
}

/*
 * Sections that may stand several times begin with a name and a line: the line of the one called
 * NAME, or 0.
 */
static unsigned find_line(const void *array, size_t count, size_t stride, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		const char *entry = (const char *)array + i * stride;

		if (strcmp(entry, name) == 0) {
			unsigned line;

			memcpy(&line, entry + CONFIG_NAME_BYTES, sizeof(line));
			return line;
		}
	}
	return 0;
}
static_assert(offsetof(struct config_vm, line) == CONFIG_NAME_BYTES, "name, then line");
static_assert(offsetof(struct config_device, line) == CONFIG_NAME_BYTES, "name, then line");
static_assert(offsetof(struct config_bridge, line) == CONFIG_NAME_BYTES, "name, then line");

/* Room for one more section called NAME, its name and line filled in; NULL after a fault. */
static void *add_section(struct reader *reader, void *array, size_t *count, size_t max,
		size_t stride, const char *name)
{
	if (!config_value_is_name(name, CONFIG_NAME_BYTES)) {
		fault(reader, reader->line,
				"'%s' is no name: a letter, then letters, digits, '-' or '_', at "
				"most %u characters",
				name, CONFIG_NAME_BYTES - 1);
		return NULL;
	}
	unsigned before = find_line(array, *count, stride, name);

	if (before) {
		fault(reader, reader->line, "section [%s] stands in line %u already", reader->title,
				before);
		return NULL;
	}
	if (*count == max) {
		fault(reader, reader->line, "more than %zu sections of this kind", max);
		return NULL;
	}
	char *entry = (char *)array + *count * stride;

	(*count)++;
	memcpy(entry, name, strlen(name) + 1);
	memcpy(entry + CONFIG_NAME_BYTES, &reader->line, sizeof(reader->line));
	return entry;
}

static void begin_vm(struct reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_vm *vm = add_section(reader, config->vms, &config->vm_count, CONFIG_VMS,
			sizeof(*config->vms), name);

	if (vm) {
		vm->memory_mib = 512;
		vm->cpus = 1;
		vm->stop_timeout_s = 10;
		open_section(reader, SECTION_VM, vm);
	}
}

static void begin_device(struct reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_device *device = add_section(reader, config->devices, &config->device_count,
			CONFIG_DEVICES, sizeof(*config->devices), name);

	if (device) {
		open_section(reader, SECTION_DEVICE, device);
	}
}

static void begin_bridge(struct reader *reader, const char *name)
{
	struct config *config = reader->config;

	if (strcmp(name, "display") != 0) {
		fault(reader, reader->line, "there is no bridge '%s'; known: display", name);
		return;
	}
	struct config_bridge *bridge = add_section(reader, config->bridges, &config->bridge_count,
			CONFIG_BRIDGES, sizeof(*config->bridges), name);

	if (bridge) {
		open_section(reader, SECTION_BRIDGE, bridge);
	}
}

/* A section that stands at most once and has no name. */
static void begin_single(struct reader *reader, enum section section, void *object, unsigned *line)
{
	if (*line) {
		fault(reader, reader->line, "section [%s] stands in line %u already", reader->title,
				*line);
		return;
	}
	*line = reader->line;
	open_section(reader, section, object);
}

/* Opens the section called TITLE. */
static void begin_section(struct reader *reader)
{
	const char *title = reader->title;
	const char *space = strchr(title, ' ');
	size_t kind = space ? (size_t)(space - title) : strlen(title);
	const char *name = space ? space + 1 : "";
	struct config *config = reader->config;

	open_section(reader, SECTION_NONE, NULL);
	if (strncmp(title, "vm", kind) == 0 && kind == 2) {
		begin_vm(reader, name);
	} else if (strncmp(title, "device", kind) == 0 && kind == 6) {
		begin_device(reader, name);
	} else if (strncmp(title, "bridge", kind) == 0 && kind == 6) {
		begin_bridge(reader, name);
	} else if (strcmp(title, "vsock") == 0) {
		begin_single(reader, SECTION_VSOCK, &config->vsock, &config->vsock.line);
	} else if (strcmp(title, "image") == 0) {
		begin_single(reader, SECTION_IMAGE, &config->image, &config->image.line);
	} else {
		fault(reader, reader->line,
				"unknown section [%s]; known: [vm NAME], [device NAME], [vsock], "
				"[bridge display], "
				"[image]",
				title);
	}
}

/* A line that begins with '[': the whole of it must be "[title]", blanks and comment apart. */
static void take_section(struct reader *reader, const char *line, size_t length)
{
	const char *end = memchr(line, ']', length);

	if (!end) {
		fault(reader, reader->line, "a section without ']'");
		return;
	}
	size_t rest = (size_t)(end + 1 - line);

	while (rest < length && isblank((unsigned char)line[rest])) {
		rest++;
	}
	if (rest < length && line[rest] != ';' && line[rest] != '#') {
		fault(reader, reader->line, "text behind the ']' of a section");
		return;
	}
	size_t title = (size_t)(end - line) - 1;

	if (title >= sizeof(reader->title)) {
		fault(reader, reader->line, "a section's name of more than %zu bytes",
				sizeof(reader->title) - 1);
		return;
	}
	memcpy(reader->title, line + 1, title);
	reader->title[title] = '\0';
	begin_section(reader);
}

/* Checks one line before libinih sees it; LENGTH is without the newline. */
static void check_line(struct reader *reader, const char *line, size_t length)
{
	if (length > LINE_BYTES) {
		fault(reader, reader->line, "the line has %zu bytes, at most %u are allowed",
				length, LINE_BYTES);
		return;
	}
	for (size_t i = 0; i < length; i++) {
		if (iscntrl((unsigned char)line[i]) && line[i] != '\t') {
			fault(reader, reader->line, "control character 0x%02x in column %zu",
					(unsigned char)line[i], i + 1);
			return;
		}
	}
	size_t blanks = 0;

	while (blanks < length && isblank((unsigned char)line[blanks])) {
		blanks++;
	}
	if (blanks > 0 && blanks < length) {
		fault(reader, reader->line, "the line begins with a blank");
	} else if (length > 0 && line[0] == '[') {
		take_section(reader, line, length);
	}
}

/* libinih's fgets: hands out the next line, or the end of the file after a fault. */
static char *next_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;

	if (reader->left == 0 || reader->error) {
		return NULL;
	}
	const char *newline = memchr(reader->text, '\n', reader->left);
	size_t whole = newline ? (size_t)(newline - reader->text) : reader->left;
	size_t length = whole > 0 && reader->text[whole - 1] == '\r' ? whole - 1 : whole;

	reader->line++;
	check_line(reader, reader->text, length);
	if (reader->error) {
		return NULL;
	}
	assert((size_t)size > LINE_BYTES + 1);
	memcpy(buffer, reader->text, length);
	buffer[length] = '\n';
	buffer[length + 1] = '\0';
	reader->text += whole + (newline ? 1 : 0);
	reader->left -= whole + (newline ? 1 : 0);
	return buffer;
}

/* libinih's handler: always answers 1, faults are kept in the reader. */
static int take_key(void *data, const char *section, const char *name, const char *value)
{
	struct reader *reader = data;
	char reason[CONFIG_MESSAGE_BYTES];
	size_t key = config_key_find(reader->section, name);

	(void)section; // next_line() knows which one it is
	if (reader->error) {
		return 1;
	}
	if (reader->section == SECTION_NONE) {
		fault(reader, reader->line, "key '%s' before the first section", name);
	} else if (key == CONFIG_KEYS) {
		fault(reader, reader->line, "unknown key '%s' in [%s]", name, reader->title);
	} else if (reader->key_lines[key]) {
		fault(reader, reader->line, "key '%s' stands in line %u already", name,
				reader->key_lines[key]);
	} else if (*value == '\0') {
		fault(reader, reader->line, "key '%s' has no value", name);
	} else {
		reader->key_lines[key] = reader->line;
		int error = config_key_set(
				key, reader->object, reader->config->folder, value, reason);

		if (error) {
			fault(reader, reader->line, "%s", reason);
			reader->error = error;
		}
	}
	return 1;
}

/* Sets path and folder. */
static int set_place(struct config *config, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *relative = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path))
			       : strdup(".");

	config->path = strdup(path);
	config->folder = relative ? realpath(relative, NULL) : NULL;
	int error = config->path && config->folder ? 0 : relative ? -errno : -ENOMEM;

	free(relative);
	return error;
}

int config_parse(const char *path, const char *text, size_t size, struct config *ret_config,
		char ret_message[CONFIG_MESSAGE_BYTES])
{
	struct config config = {0};
	struct reader reader = {
			.config = &config, .text = text, .left = size, .message = ret_message};
	int error = set_place(&config, path);

	if (error) {
		snprintf(ret_message, CONFIG_MESSAGE_BYTES, "%s: %s", path, strerror(-error));
		config_finish(&config);
		return error;
	}
	int line = ini_parse_stream(next_line, &reader, take_key, &reader);

	if (!reader.error && line < 0) {
		no_memory(&reader);
	} else if (!reader.error && line > 0) {
		fault(&reader, (unsigned)line, "neither a section nor KEY = VALUE");
	}
	char reason[CONFIG_MESSAGE_BYTES];
	unsigned where;

	if (!reader.error && config_check(&config, &where, reason) < 0) {
		fault(&reader, where, "%s", reason);
	}
	if (reader.error) {
		config_finish(&config);
		return reader.error;
	}
	*ret_config = config;
	return 0;
}

/*
 * Reads the file into TEXT, which has room for FILE_BYTES + 1. Returns its size or a negative
 * errno.
 */
static ssize_t read_file(const char *path, char *text)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	size_t size = 0;

	while (size <= FILE_BYTES) {
		ssize_t bytes = read(fd, text + size, FILE_BYTES + 1 - size);

		if (bytes < 0 && errno != EINTR) {
			return -errno;
		}
		if (bytes == 0) {
			return (ssize_t)size;
		}
		size += bytes > 0 ? (size_t)bytes : 0;
	}
	return -EFBIG;
}

int config_load(const char *path, struct config *ret_config, char ret_message[CONFIG_MESSAGE_BYTES])
{
	char *text = malloc(FILE_BYTES + 1);
	ssize_t size = text ? read_file(path, text) : -ENOMEM;
	int error = size < 0 ? (int)size : 0;

	if (error) {
		snprintf(ret_message, CONFIG_MESSAGE_BYTES, "%s: %s", path, strerror(-error));
	} else {
		error = config_parse(path, text, (size_t)size, ret_config, ret_message);
	}
	free(text);
	return error;
}

void config_finish(struct config *config)
{
	for (size_t i = 0; i < config->vm_count; i++) {
		config_key_release(SECTION_VM, &config->vms[i]);
	}
	for (size_t i = 0; i < config->device_count; i++) {
		config_key_release(SECTION_DEVICE, &config->devices[i]);
	}
	for (size_t i = 0; i < config->bridge_count; i++) {
		config_key_release(SECTION_BRIDGE, &config->bridges[i]);
	}
	config_key_release(SECTION_VSOCK, &config->vsock);
	config_key_release(SECTION_IMAGE, &config->image);
	free(config->path);
	free(config->folder);
	*config = (struct config) {0};
}
