/*
 * Reads the configuration. libinih splits a line into key and value, but cuts lines at 200 bytes, takes an indented line for more of
 * the value before, ignores what follows a section's ']' and has no line numbers for its handler. So each line passes
 * config_line() first, which counts it, refuses those cases, and opens sections by itself.
 *
 * The invariant: a struct config that is handed out passed every check; the first fault found is the one reported, with its line.
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

#include "common/address.h"
#include "common/fd.h"
#include "vm-launch/config_value.h"

#define LINE_BYTES    190u
#define FILE_BYTES    (256u * 1024u)
#define SECTION_BYTES 64u

enum section {
	SECTION_NONE,
	SECTION_VM,
	SECTION_DEVICE,
	SECTION_BRIDGE,
	SECTION_VSOCK,
	SECTION_IMAGE
};

enum kind {
	KIND_TEXT,    // anything
	KIND_PATH,    // made absolute
	KIND_NAME,    // see config_value_is_name
	KIND_SCHEME,  // a name that may have dots
	KIND_QUOTED,  // goes between double quotes on the kernel's command line
	KIND_ADDRESS, // of common/address.h
	KIND_NUMBER,  // from min to max
	KIND_MEMORY,  // the same, in MiB
	KIND_MODE,    // two uint32_t
	KIND_WORD,    // index in WORDS, plus MIN
};

struct key {
	enum section section;
	const char *name;
	enum kind kind;
	size_t offset; // in the section's struct
	uint32_t min, max;
	const char *words;
};

#define VM(key, field, ...)                                          \
	{.section = SECTION_VM,                                      \
			.name = key,                                 \
			.offset = offsetof(struct config_vm, field), \
			__VA_ARGS__}
#define DEVICE(key, field, ...)                                          \
	{.section = SECTION_DEVICE,                                      \
			.name = key,                                     \
			.offset = offsetof(struct config_device, field), \
			__VA_ARGS__}
#define BRIDGE(key, field, ...)                                          \
	{.section = SECTION_BRIDGE,                                      \
			.name = key,                                     \
			.offset = offsetof(struct config_bridge, field), \
			__VA_ARGS__}
#define VSOCK(key, field, ...)                                          \
	{.section = SECTION_VSOCK,                                      \
			.name = key,                                    \
			.offset = offsetof(struct config_vsock, field), \
			__VA_ARGS__}
#define IMAGE(key, field, ...)                                          \
	{.section = SECTION_IMAGE,                                      \
			.name = key,                                    \
			.offset = offsetof(struct config_image, field), \
			__VA_ARGS__}

static const struct key keys[] = {
		VM("memory", memory_mib, .kind = KIND_MEMORY, .min = 128, .max = 1024 * 1024),
		VM("cpus", cpus, .kind = KIND_NUMBER, .min = 1, .max = 64),
		VM("accel", accel, .kind = KIND_WORD, .words = "auto|kvm|tcg"),
		VM("machine", machine, .kind = KIND_WORD, .words = "q35|pc"),
		VM("cid", cid, .kind = KIND_NUMBER, .min = 3, .max = UINT32_MAX - 1),
		VM("kernel", kernel, .kind = KIND_PATH),
		VM("initrd", initrd, .kind = KIND_PATH),
		VM("append", append, .kind = KIND_TEXT),
		VM("agent_options", agent_options, .kind = KIND_QUOTED),
		VM("console", console, .kind = KIND_PATH),
		VM("qmp", qmp, .kind = KIND_PATH),
		VM("commands", commands, .kind = KIND_PATH),
		VM("stop_timeout", stop_timeout_s, .kind = KIND_NUMBER, .min = 1, .max = 600),
		VM("qemu", qemu, .kind = KIND_PATH),
		DEVICE("vm", vm_name, .kind = KIND_NAME),
		DEVICE("emulated", emulated, .kind = KIND_WORD, .min = 1,
				.words = "bochs|secondary-vga|virtio-gpu"),
		DEVICE("mode", width_px, .kind = KIND_MODE),
		DEVICE("outputs", outputs, .kind = KIND_NUMBER, .min = 1, .max = 16),
		BRIDGE("vm", vm_name, .kind = KIND_NAME),
		BRIDGE("agent", agent, .kind = KIND_ADDRESS),
		BRIDGE("name", scheme, .kind = KIND_SCHEME),
		BRIDGE("program", program, .kind = KIND_PATH),
		BRIDGE("options", options, .kind = KIND_TEXT),
		VSOCK("backend", backend, .kind = KIND_WORD, .words = "auto|kernel|device"),
		VSOCK("program", program, .kind = KIND_PATH),
		IMAGE("agent", agent, .kind = KIND_PATH),
		IMAGE("output", output, .kind = KIND_PATH),
		IMAGE("cache", cache, .kind = KIND_PATH),
		IMAGE("modules", modules, .kind = KIND_TEXT),
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

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
	unsigned key_lines[KEYS]; // where each key of the open section stood; 0: not yet
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

/* Sections that may stand several times begin with a name and a line: the line of the one called NAME, or 0. */
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
	size_t length = newline ? (size_t)(newline - reader->text) : reader->left;

	reader->line++;
	check_line(reader, reader->text, length);
	if (reader->error) {
		return NULL;
	}
	assert((size_t)size > LINE_BYTES + 1);
	memcpy(buffer, reader->text, length);
	buffer[length] = '\n';
	buffer[length + 1] = '\0';
	reader->text += length + (newline ? 1 : 0);
	reader->left -= length + (newline ? 1 : 0);
	return buffer;
}

static int set_text(struct reader *reader, char **field, const char *value)
{
	*field = strdup(value);
	return *field ? 0 : no_memory(reader);
}

static int set_path(struct reader *reader, char **field, const char *value)
{
	if (value[0] == '/') {
		return set_text(reader, field, value);
	}
	size_t size = strlen(reader->config->folder) + 1 + strlen(value) + 1;

	*field = malloc(size);
	if (!*field) {
		return no_memory(reader);
	}
	snprintf(*field, size, "%s/%s", reader->config->folder, value);
	return 0;
}

static int set_address(struct reader *reader, char **field, const char *value)
{
	struct address address;
	const char *reason;

	if (address_parse(value, &address, &reason) < 0) {
		return fault(reader, reader->line, "agent = '%s': %s", value, reason);
	}
	return set_text(reader, field, value);
}

/* Names of schemes may have dots. */
static bool is_scheme(const char *value)
{
	for (const char *at = value; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at)) {
			return false;
		}
	}
	return strlen(value) < 64;
}

static int set_value(struct reader *reader, const struct key *key, const char *value)
{
	void *field = (char *)reader->object + key->offset;
	uint32_t *number = field;
	char **text = field;
	int *word = field;

	switch (key->kind) {
	case KIND_TEXT:
		return set_text(reader, text, value);
	case KIND_PATH:
		return set_path(reader, text, value);
	case KIND_ADDRESS:
		return set_address(reader, text, value);
	case KIND_NAME:
		if (!config_value_is_name(value, CONFIG_NAME_BYTES)) {
			return fault(reader, reader->line, "%s = '%s' is no name", key->name,
					value);
		}
		return set_text(reader, text, value);
	case KIND_SCHEME:
		if (!is_scheme(value)) {
			return fault(reader, reader->line,
					"%s = '%s' is no scheme: letters, digits, '-', '_', '.', "
					"at most 63",
					key->name, value);
		}
		return set_text(reader, text, value);
	case KIND_QUOTED:
		if (strchr(value, '"')) {
			return fault(reader, reader->line, "%s: '\"' cannot be passed to the guest",
					key->name);
		}
		return set_text(reader, text, value);
	case KIND_NUMBER:
		if (config_value_number(value, key->min, key->max, number) < 0) {
			return fault(reader, reader->line, "%s = '%s' is no number from %u to %u",
					key->name, value, key->min, key->max);
		}
		return 0;
	case KIND_MEMORY:
		if (config_value_memory(value, key->min, key->max, number) < 0) {
			return fault(reader, reader->line,
					"%s = '%s' is no size such as 512M or 2G, from %uM to %uM",
					key->name, value, key->min, key->max);
		}
		return 0;
	case KIND_MODE:
		if (config_value_mode(value, number, number + 1) < 0) {
			return fault(reader, reader->line, "%s = '%s' is no mode such as 1280x720",
					key->name, value);
		}
		return 0;
	case KIND_WORD:
		if (config_value_word(value, key->words, word) < 0) {
			return fault(reader, reader->line, "%s = '%s' is none of %s", key->name,
					value, key->words);
		}
		*word += (int)key->min;
		return 0;
	}
	return -EINVAL;
}

/* libinih's handler: always answers 1, faults are kept in the reader. */
static int take_key(void *data, const char *section, const char *name, const char *value)
{
	struct reader *reader = data;

	(void)section; // next_line() knows which one it is
	if (reader->error) {
		return 1;
	}
	if (reader->section == SECTION_NONE) {
		fault(reader, reader->line, "key '%s' before the first section", name);
		return 1;
	}
	for (size_t i = 0; i < KEYS; i++) {
		if (keys[i].section != reader->section || strcmp(keys[i].name, name) != 0) {
			continue;
		}
		if (reader->key_lines[i]) {
			fault(reader, reader->line, "key '%s' stands in line %u already", name,
					reader->key_lines[i]);
		} else if (*value == '\0') {
			fault(reader, reader->line, "key '%s' has no value", name);
		} else {
			reader->key_lines[i] = reader->line;
			set_value(reader, &keys[i], value);
		}
		return 1;
	}
	fault(reader, reader->line, "unknown key '%s' in [%s]", name, reader->title);
	return 1;
}

/* Finds the VM that a section means: by name, or the only one. */
static int resolve_vm(struct reader *reader, const char *name, unsigned line, size_t *ret_vm)
{
	const struct config *config = reader->config;

	if (!name && config->vm_count == 1) {
		*ret_vm = 0;
		return 0;
	}
	if (!name) {
		return fault(reader, line,
				config->vm_count ? "there are several VMs: say which by vm = NAME"
						 : "there is no [vm NAME] that this could belong "
						   "to");
	}
	for (size_t i = 0; i < config->vm_count; i++) {
		if (strcmp(config->vms[i].name, name) == 0) {
			*ret_vm = i;
			return 0;
		}
	}
	return fault(reader, line, "vm = '%s': there is no [vm %s]", name, name);
}

static void check_devices(struct reader *reader)
{
	struct config *config = reader->config;

	for (size_t i = 0; i < config->device_count; i++) {
		struct config_device *device = &config->devices[i];

		if (device->emulated == EMULATED_NONE) {
			fault(reader, device->line,
					"[device %s] needs emulated = "
					"bochs|secondary-vga|virtio-gpu",
					device->name);
		} else if (device->outputs && device->emulated != EMULATED_VIRTIO_GPU) {
			fault(reader, device->line, "[device %s]: only virtio-gpu has outputs",
					device->name);
		}
		resolve_vm(reader, device->vm_name, device->line, &device->vm);
	}
}

static void check_bridges(struct reader *reader)
{
	struct config *config = reader->config;

	for (size_t i = 0; i < config->bridge_count; i++) {
		struct config_bridge *bridge = &config->bridges[i];

		if (bridge->agent && bridge->vm_name) {
			fault(reader, bridge->line,
					"[bridge %s] has both vm and agent; one of them says where "
					"the agent is",
					bridge->name);
		} else if (!bridge->agent) {
			resolve_vm(reader, bridge->vm_name, bridge->line, &bridge->vm);
		}
	}
}

/* Gives each VM a context id that no other one has. */
static void check_cids(struct reader *reader)
{
	struct config *config = reader->config;

	for (size_t i = 0; i < config->vm_count; i++) {
		for (size_t j = 0; j < i && config->vms[i].cid; j++) {
			if (config->vms[i].cid == config->vms[j].cid) {
				fault(reader, config->vms[i].line,
						"[vm %s] has the cid %u of [vm %s]",
						config->vms[i].name, config->vms[i].cid,
						config->vms[j].name);
			}
		}
	}
	for (size_t i = 0; i < config->vm_count; i++) {
		for (uint32_t cid = 3; !config->vms[i].cid; cid++) {
			bool taken = false;

			for (size_t j = 0; j < config->vm_count; j++) {
				taken |= config->vms[j].cid == cid;
			}
			config->vms[i].cid = taken ? 0 : cid;
		}
	}
}

static void check_whole(struct reader *reader)
{
	struct config *config = reader->config;

	if (config->vm_count == 0 && config->bridge_count == 0 && config->image.line == 0) {
		fault(reader, reader->line ? reader->line : 1,
				"nothing to do: no [vm NAME] and no [bridge display]");
		return;
	}
	check_devices(reader);
	check_bridges(reader);
	check_cids(reader);
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
	if (!reader.error) {
		check_whole(&reader);
	}
	if (reader.error) {
		config_finish(&config);
		return reader.error;
	}
	*ret_config = config;
	return 0;
}

/* Reads the file into TEXT, which has room for FILE_BYTES + 1. Returns its size or a negative errno. */
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
	for (size_t i = 0; i < KEYS; i++) {
		if (keys[i].kind > KIND_ADDRESS) {
			continue;
		}
		for (size_t n = 0; keys[i].section == SECTION_VM && n < config->vm_count; n++) {
			free(*(char **)((char *)&config->vms[n] + keys[i].offset));
		}
		for (size_t n = 0; keys[i].section == SECTION_DEVICE && n < config->device_count;
				n++) {
			free(*(char **)((char *)&config->devices[n] + keys[i].offset));
		}
		for (size_t n = 0; keys[i].section == SECTION_BRIDGE && n < config->bridge_count;
				n++) {
			free(*(char **)((char *)&config->bridges[n] + keys[i].offset));
		}
	}
	free(config->vsock.program);
	free(config->image.agent);
	free(config->image.output);
	free(config->image.cache);
	free(config->image.modules);
	free(config->path);
	free(config->folder);
	*config = (struct config) {0};
}
