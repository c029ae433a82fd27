/*
 * The table of keys and the setting of values. The invariant: a field is set once at most (the
 * reader sees to that), so nothing is leaked.
 */
#include "vm-launch/config_key.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "vm-launch/config_value.h"

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
static_assert(sizeof(keys) / sizeof(keys[0]) == CONFIG_KEYS, "the number of keys");

/* Where a value comes from, for paths and messages. */
struct place {
	const char *folder;
	char *reason;
};

__attribute__((format(printf, 2, 3))) static int fault(struct place *place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(place->reason, CONFIG_MESSAGE_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int no_memory(struct place *place)
{
	fault(place, "no memory");
	return -ENOMEM;
}

static int set_text(struct place *place, char **field, const char *value)
{
	*field = strdup(value);
	return *field ? 0 : no_memory(place);
}

static int set_path(struct place *place, char **field, const char *value)
{
	if (value[0] == '/') {
		return set_text(place, field, value);
	}
	size_t size = strlen(place->folder) + 1 + strlen(value) + 1;

	*field = malloc(size);
	if (!*field) {
		return no_memory(place);
	}
	snprintf(*field, size, "%s/%s", place->folder, value);
	return 0;
}

static int set_address(struct place *place, char **field, const char *value)
{
	struct address address;
	const char *reason;

	if (address_parse(value, &address, &reason) < 0) {
		return fault(place, "agent = '%s': %s", value, reason);
	}
	return set_text(place, field, value);
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

static int set_value(struct place *place, const struct key *key, void *object, const char *value)
{
	void *field = (char *)object + key->offset;
	uint32_t *number = field;
	char **text = field;
	int *word = field;

	switch (key->kind) {
	case KIND_TEXT:
		return set_text(place, text, value);
	case KIND_PATH:
		return set_path(place, text, value);
	case KIND_ADDRESS:
		return set_address(place, text, value);
	case KIND_NAME:
		if (!config_value_is_name(value, CONFIG_NAME_BYTES)) {
			return fault(place, "%s = '%s' is no name", key->name, value);
		}
		return set_text(place, text, value);
	case KIND_SCHEME:
		if (!is_scheme(value)) {
			return fault(place,
					"%s = '%s' is no scheme: letters, digits, '-', '_', '.', "
					"at most 63",
					key->name, value);
		}
		return set_text(place, text, value);
	case KIND_QUOTED:
		if (strchr(value, '"')) {
			return fault(place, "%s: '\"' cannot be passed to the guest", key->name);
		}
		return set_text(place, text, value);
	case KIND_NUMBER:
		if (config_value_number(value, key->min, key->max, number) < 0) {
			return fault(place, "%s = '%s' is no number from %u to %u", key->name,
					value, key->min, key->max);
		}
		return 0;
	case KIND_MEMORY:
		if (config_value_memory(value, key->min, key->max, number) < 0) {
			return fault(place,
					"%s = '%s' is no size such as 512M or 2G, from %uM to %uM",
					key->name, value, key->min, key->max);
		}
		return 0;
	case KIND_MODE:
		if (config_value_mode(value, number, number + 1) < 0) {
			return fault(place, "%s = '%s' is no mode such as 1280x720", key->name,
					value);
		}
		return 0;
	case KIND_WORD:
		if (config_value_word(value, key->words, word) < 0) {
			return fault(place, "%s = '%s' is none of %s", key->name, value,
					key->words);
		}
		*word += (int)key->min;
		return 0;
	}
	return -EINVAL;
}

size_t config_key_find(enum section section, const char *name)
{
	size_t index = 0;

	while (index < CONFIG_KEYS &&
			(keys[index].section != section || strcmp(keys[index].name, name) != 0)) {
		index++;
	}
	return index;
}

int config_key_set(size_t index, void *object, const char *folder, const char *value,
		char ret_reason[CONFIG_MESSAGE_BYTES])
{
	struct place place = {.folder = folder, .reason = ret_reason};

	return set_value(&place, &keys[index], object, value);
}

void config_key_release(enum section section, void *object)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (keys[i].section == section && keys[i].kind <= KIND_ADDRESS) {
			free(*(char **)((char *)object + keys[i].offset));
		}
	}
}
