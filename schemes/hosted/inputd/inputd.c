/*
 * The state of inputd and its scheme. Everything runs on the thread that serves: in the new
 * generation so do the calls to the display, which therefore must not call inputd meanwhile
 * (redox-abi.md 5.2).
 *
 * Invariants: a VT exists as long as its consumer; the active VT is that of a living consumer, or
 * 0; the selected display is the first regular one, before there is any the last early one.
 */
#include "schemes/hosted/inputd/inputd.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "common/loop.h"
#include "schemes/hosted/inputd/keymap.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/scheme.h"

#define VT_BOOTLOG     1u
#define VT_FIRST       2u
#define EVENTS_MAX     4096u // that a consumer may leave unread; the real one has no limit
#define MESSAGES_MAX   1024u // that a display may leave unread
#define NAME_MAX_BYTES 64u
#define NO_FD          SIZE_MAX

_Static_assert(sizeof(struct inputd_event) == 24, "redox-abi.md 5.4");
_Static_assert(sizeof(struct inputd_message) == 16, "redox-abi.md 5.2");

enum file_kind { FILE_PRODUCER, FILE_CONSUMER, FILE_DISPLAY, FILE_CONTROL };

struct file {
	TAILQ_ENTRY(file) link; // inputd.files, in order of opening
	enum file_kind kind;

	// FILE_CONSUMER
	uint64_t vt;
	bool handoff; // the next read says ESTALE
	struct inputd_event events[EVENTS_MAX];
	unsigned event_count;

	// FILE_DISPLAY
	char display[NAME_MAX_BYTES];
	bool early;
	size_t capability; // NO_FD: none
	struct inputd_message messages[MESSAGES_MAX];
	unsigned message_count;
};

struct inputd {
	struct loop *loop;
	enum inputd_generation generation;
	struct scheme *scheme;
	TAILQ_HEAD(file_list, file) files;
	uint64_t next_vt;              // numbers are never used again
	uint64_t active_vt;            // 0: none
	char selected[NAME_MAX_BYTES]; // display, "" for none; it keeps its name after its handle closed
	bool selected_early;
	struct loop_source *greeting; // idle: the first Activate for a new capability
	bool shift, super;
};

static struct file *vt_find(struct inputd *inputd, uint64_t vt)
{
	struct file *file;

	TAILQ_FOREACH (file, &inputd->files, link) {
		if (file->kind == FILE_CONSUMER && file->vt == vt) {
			return file;
		}
	}
	return NULL;
}

static struct file *display_find(struct inputd *inputd, const char *name)
{
	struct file *file;

	TAILQ_FOREACH (file, &inputd->files, link) {
		if (file->kind == FILE_DISPLAY && strcmp(file->display, name) == 0) {
			return file;
		}
	}
	return NULL;
}

/* The real one unwraps here: a mistake of the display ends it. */
static void panic(const char *why, const char *display)
{
	log_error(LOG_MAIN, "panic: %s (display \"%s\")", why, display);
	abort();
}

/* Says that VT is active now, as that generation says it. EVENT: the display hears of it at once. */
static void display_tell(struct inputd *inputd, struct file *display, uint64_t vt, bool event)
{
	struct inputd_message message = {.kind = 0, .data = vt};

	if (inputd->generation == INPUTD_OLD) {
		if (display->message_count == MESSAGES_MAX) {
			panic("a display does not read its VT events", display->display);
		}
		display->messages[display->message_count++] = message;
		if (event) {
			scheme_notify(inputd->scheme, display, SCHEME_EVENT_READ);
		}
		return;
	}
	if (display->capability == NO_FD) {
		return; // it gets an Activate when it has given one
	}
	size_t result = redox_sys_call_v0(display->capability, (uint8_t *)&message, sizeof(message),
			REDOX_CALL_WRITE, (const uint64_t[]) {0}, 0);
	if (redox_failed(result)) {
		panic(strerror(redox_errno(result)), display->display);
	}
}

/* The active VT has changed. */
static void vt_announce(struct inputd *inputd, bool event)
{
	if (inputd->active_vt == 0 || inputd->selected[0] == '\0') {
		return;
	}
	struct file *display = display_find(inputd, inputd->selected);
	if (display != NULL) {
		display_tell(inputd, display, inputd->active_vt, event);
	} else if (inputd->generation == INPUTD_NEW) {
		panic("the selected display has closed its handle", inputd->selected);
	}
}

/* Switches to VT if there is such a consumer. */
static void vt_switch(struct inputd *inputd, uint64_t vt)
{
	if (vt_find(inputd, vt) == NULL) {
		log_warn(LOG_MAIN, "there is no VT %llu to switch to", (unsigned long long)vt);
		return;
	}
	if (inputd->active_vt != vt) {
		inputd->active_vt = vt;
		vt_announce(inputd, true);
	}
}

static int file_create(struct inputd *inputd, enum file_kind kind, struct file **ret_file)
{
	struct file *file = calloc(1, sizeof(*file));

	if (file == NULL) {
		return -ENOMEM;
	}
	file->kind = kind;
	file->capability = NO_FD;
	TAILQ_INSERT_TAIL(&inputd->files, file, link);
	*ret_file = file;
	return 0;
}

static void file_destroy(struct inputd *inputd, struct file *file)
{
	TAILQ_REMOVE(&inputd->files, file, link);
	if (file->capability != NO_FD) {
		redox_close_v1(file->capability);
	}
	free(file);
}

static int open_consumer(struct inputd *inputd, bool bootlog, struct file **ret_file)
{
	if (bootlog && vt_find(inputd, VT_BOOTLOG) != NULL) {
		return -EEXIST;
	}
	int error = file_create(inputd, FILE_CONSUMER, ret_file);
	if (error < 0) {
		return error;
	}
	(*ret_file)->vt = bootlog ? VT_BOOTLOG : inputd->next_vt++;
	if (bootlog || inputd->active_vt == 0) {
		inputd->active_vt = (*ret_file)->vt;
		// Queued, but no event is raised for it (redox-run.md, 5 "NEW").
		vt_announce(inputd, false);
	}
	return 0;
}

static void display_select(struct inputd *inputd, const struct file *display)
{
	bool handoff = inputd->selected[0] != '\0';
	struct file *file;

	snprintf(inputd->selected, sizeof(inputd->selected), "%s", display->display);
	inputd->selected_early = display->early;
	TAILQ_FOREACH (file, &inputd->files, link) {
		if (handoff && file->kind == FILE_CONSUMER) {
			file->handoff = true;
			scheme_notify(inputd->scheme, file, SCHEME_EVENT_READ);
		}
	}
}

static int open_display(struct inputd *inputd, const char *name, bool early, struct file **ret_file)
{
	if (name[0] == '\0' || strlen(name) >= NAME_MAX_BYTES || strchr(name, '/') != NULL) {
		return -EINVAL;
	}
	int error = file_create(inputd, FILE_DISPLAY, ret_file);
	if (error < 0) {
		return error;
	}
	struct file *file = *ret_file;
	file->early = early;
	memcpy(file->display, name, strlen(name) + 1);
	// The first regular display wins, and an early one only while there is no other.
	if (inputd->selected[0] == '\0' || (inputd->selected_early && !early)) {
		display_select(inputd, file);
	}
	if (inputd->generation == INPUTD_OLD && inputd->active_vt != 0) {
		display_tell(inputd, file, inputd->active_vt, true);
	}
	return 0;
}

/* openat(consumer, "display"): the new generation opens the display's path and gives that
 * descriptor away. */
static int open_below_consumer(struct inputd *inputd, const struct file *consumer, const char *path,
		void **ret_handle)
{
	char display[NAME_MAX_BYTES + 64];

	if (strcmp(path, "display") != 0) {
		return -ENOENT;
	}
	if (inputd->generation == INPUTD_OLD) {
		return -EACCES;
	}
	if (inputd->selected[0] == '\0') {
		return -EINVAL;
	}
	int length = snprintf(display, sizeof(display), "/scheme/%s/%llu", inputd->selected,
			(unsigned long long)consumer->vt);
	size_t fd = redox_open_v1((const uint8_t *)display, (size_t)length,
			REDOX_O_RDONLY | REDOX_O_CLOEXEC, 0);
	if (redox_failed(fd)) {
		return -redox_errno(fd);
	}
	*ret_handle = (void *)(uintptr_t)fd;
	return SCHEME_OPEN_DESCRIPTOR;
}

static int on_open(void *data, void *parent, const struct scheme_open *open, void **ret_handle)
{
	struct inputd *inputd = data;
	struct file *file = parent;
	int error;

	if (file != NULL) {
		return file->kind == FILE_CONSUMER
				? open_below_consumer(inputd, file, open->path, ret_handle)
				: -ENOTDIR;
	}
	if (open->flags & REDOX_O_STAT) {
		return 0; // no side effects
	}
	if (strcmp(open->path, "producer") == 0) {
		error = file_create(inputd, FILE_PRODUCER, &file);
	} else if (strcmp(open->path, "control") == 0) {
		error = file_create(inputd, FILE_CONTROL, &file);
	} else if (strcmp(open->path, "consumer") == 0) {
		error = open_consumer(inputd, false, &file);
	} else if (strcmp(open->path, "consumer_bootlog") == 0) {
		error = open_consumer(inputd, true, &file);
	} else if (strncmp(open->path, "handle/", 7) == 0) {
		error = open_display(inputd, open->path + 7, false, &file);
	} else if (strncmp(open->path, "handle_early/", 13) == 0) {
		error = open_display(inputd, open->path + 13, true, &file);
	} else {
		error = -ENOENT;
	}
	if (error == 0) {
		*ret_handle = file;
	}
	return error;
}

static void on_close(void *data, void *handle)
{
	struct inputd *inputd = data;
	struct file *file = handle;

	if (file == NULL) {
		return;
	}
	uint64_t vt = file->kind == FILE_CONSUMER ? file->vt : 0;
	file_destroy(inputd, file);
	if (vt == 0 || vt != inputd->active_vt) {
		return;
	}
	// The highest VT that is left takes over.
	inputd->active_vt = 0;
	TAILQ_FOREACH (file, &inputd->files, link) {
		if (file->kind == FILE_CONSUMER && file->vt > inputd->active_vt) {
			inputd->active_vt = file->vt;
		}
	}
	vt_announce(inputd, true);
}

/* Hands out whole records from the front of a queue. Returns the bytes. */
static int64_t queue_read(
		struct request *request, void *records, unsigned *count, size_t record_bytes)
{
	size_t taken = request_length(request) / record_bytes;

	if (taken > *count) {
		taken = *count;
	}
	if (taken > 0) {
		request_put(request, 0, records, taken * record_bytes);
		*count -= (unsigned)taken;
		memmove(records, (uint8_t *)records + taken * record_bytes, *count * record_bytes);
	}
	return (int64_t)(taken * record_bytes);
}

static int64_t on_read(void *data, void *handle, struct request *request, uint32_t flags)
{
	struct file *file = handle;

	(void)data;
	(void)flags;
	if (file == NULL) {
		return -EBADF;
	}
	switch (file->kind) {
	case FILE_CONSUMER:
		if (file->handoff) {
			file->handoff = false;
			return -ESTALE;
		}
		return queue_read(
				request, file->events, &file->event_count, sizeof(file->events[0]));
	case FILE_DISPLAY:
		if (request_length(request) % sizeof(file->messages[0]) != 0) {
			return -EINVAL;
		}
		return queue_read(request, file->messages, &file->message_count,
				sizeof(file->messages[0]));
	case FILE_PRODUCER:
	case FILE_CONTROL:
		break;
	}
	return -EINVAL;
}

/* Fills in the character of a key event, and switches the VT on Super and a function key. */
static void key_handle(struct inputd *inputd, struct inputd_event *event)
{
	uint8_t scancode = (uint8_t)event->b;
	bool pressed = event->b & INPUTD_KEY_PRESSED;

	if (keymap_is_shift(scancode)) {
		inputd->shift = pressed;
	}
	if (scancode == KEYMAP_SUPER) {
		inputd->super = pressed;
	}
	event->a = keymap_character(scancode, inputd->shift);
	if (inputd->super && pressed && keymap_function_key(scancode) != 0) {
		vt_switch(inputd, keymap_function_key(scancode));
	}
}

static int64_t producer_write(struct inputd *inputd, struct request *request)
{
	size_t length = request_length(request);
	uint8_t byte = 0;

	if (length == 1) {
		request_get(request, 0, &byte, 1);
		return byte > 0xF4 ? 1 : -EINVAL;
	}
	size_t count = length / sizeof(struct inputd_event);
	for (size_t i = 0; i < count; i++) {
		struct inputd_event event;

		request_get(request, i * sizeof(event), &event, sizeof(event));
		if (event.code == INPUTD_EVENT_KEY) {
			key_handle(inputd, &event);
		}
		struct file *consumer = vt_find(inputd, inputd->active_vt);
		if (consumer != NULL && consumer->event_count < EVENTS_MAX) {
			consumer->events[consumer->event_count++] = event;
			scheme_notify(inputd->scheme, consumer, SCHEME_EVENT_READ);
		}
	}
	return (int64_t)length;
}

static int64_t control_write(struct inputd *inputd, struct request *request)
{
	struct inputd_message message;

	if (request_length(request) != sizeof(message)) {
		return -EINVAL;
	}
	request_get(request, 0, &message, sizeof(message));
	switch (message.kind) {
	case INPUTD_CONTROL_ACTIVATE:
		vt_switch(inputd, message.data);
		break;
	case INPUTD_CONTROL_KEYMAP:
		break; // there is one keymap
	default:
		return -EINVAL;
	}
	return sizeof(message);
}

static int64_t on_write(void *data, void *handle, struct request *request, uint32_t flags)
{
	struct inputd *inputd = data;
	struct file *file = handle;

	(void)flags;
	if (file != NULL && file->kind == FILE_PRODUCER) {
		return producer_write(inputd, request);
	}
	if (file != NULL && file->kind == FILE_CONTROL) {
		return control_write(inputd, request);
	}
	return file == NULL ? -EBADF : -EINVAL;
}

static int on_fpath(void *data, void *handle, char *buffer, size_t size)
{
	const struct inputd *inputd = data;
	const struct file *file = handle;

	if (file == NULL || file->kind != FILE_CONSUMER) {
		return -EINVAL;
	}
	if (inputd->selected[0] == '\0') {
		return -EINVAL;
	}
	snprintf(buffer, size, "/scheme/%s/%llu", inputd->selected, (unsigned long long)file->vt);
	return 0;
}

/* After the batch in which the capability came: its giver waits for the answer no more. */
static void on_greeting(void *data)
{
	struct inputd *inputd = data;

	inputd->greeting = NULL;
	vt_announce(inputd, true);
}

static int on_sendfd(void *data, void *handle, uint64_t nr, int *fds, size_t count)
{
	struct inputd *inputd = data;
	struct file *file = handle;
	bool good = inputd->generation == INPUTD_NEW && file != NULL &&
			file->kind == FILE_DISPLAY && count == 1 && file->capability == NO_FD;

	(void)nr;
	if (!good) {
		for (size_t i = 0; i < count; i++) {
			redox_close_v1((size_t)fds[i]);
		}
		return inputd->generation == INPUTD_OLD ? -EOPNOTSUPP : -EINVAL;
	}
	file->capability = (size_t)fds[0];
	if (inputd->greeting == NULL && strcmp(file->display, inputd->selected) == 0) {
		return loop_add_idle(inputd->loop, on_greeting, inputd, &inputd->greeting);
	}
	return 0;
}

static const struct scheme_ops ops = {
		.open = on_open,
		.close = on_close,
		.read = on_read,
		.write = on_write,
		.fpath = on_fpath,
		.sendfd = on_sendfd,
};

int inputd_create(struct loop *loop, enum inputd_generation generation, const char *name,
		struct inputd **ret_inputd)
{
	struct inputd *inputd = calloc(1, sizeof(*inputd));

	if (inputd == NULL) {
		return -ENOMEM;
	}
	inputd->loop = loop;
	inputd->generation = generation;
	inputd->next_vt = VT_FIRST;
	TAILQ_INIT(&inputd->files);
	int error = scheme_create(loop, &ops, inputd, &inputd->scheme);
	if (error == 0) {
		error = scheme_register(inputd->scheme, name);
	}
	if (error < 0) {
		inputd_destroy(inputd);
		return error;
	}
	*ret_inputd = inputd;
	return 0;
}

void inputd_destroy(struct inputd *inputd)
{
	struct file *file;

	if (inputd == NULL) {
		return;
	}
	scheme_destroy(inputd->scheme);
	loop_source_remove(inputd->greeting);
	while ((file = TAILQ_FIRST(&inputd->files)) != NULL) {
		file_destroy(inputd, file);
	}
	free(inputd);
}
