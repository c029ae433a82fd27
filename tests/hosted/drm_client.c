/*
 * A client of a display scheme that does what it is told on stdin, a line at a time, and answers
 * each line with "ok ..." or "error ERRNO". It speaks libredox alone (raw payloads, so that wrong
 * ones can be sent) but for "show" and "dirty", which go through drm_call as programs do.
 *
 *	open PATH FLAGS             -> ok FD          (FLAGS: number of enum redox_open_flags)
 *	close FD
 *	call FD NR HEX              -> ok RESULT HEX  (HEX "-": empty)
 *	read FD BYTES               -> ok HEX
 *	fsync FD
 *	mmap FD OFFSET BYTES PROT FLAGS -> ok MAP
 *	munmap MAP
 *	load MAP FILE, save MAP FILE
 *	fork                        children see and change each mapping: ok
 *	show PATH W H               -> ok FD FB MAP PITCH CRTC CONNECTOR   buffer, framebuffer, SETCRTC of the first mode
 *	dirty FD FB X1 Y1 X2 Y2
 *	race FD NR HEX OFFSET OTHER CALLS -> ok ACCEPTED REFUSED FIRST-OTHER-ERRNO
 *		while a thread switches the byte at OFFSET between its value and OTHER
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm_mode.h>

#include "schemes/drm/drm_call.h"
#include "schemes/hosted/hosted.h"
#include "schemes/scheme/libredox.h"

#define LINE_BYTES (4u * 1024u * 1024u)
#define MAPS_MAX   4096
#define PAGE_BYTES 4096u

struct map {
	uint8_t *memory;
	size_t bytes;
};

static struct map maps[MAPS_MAX];
static int map_count;

static void answer_error(int error)
{
	printf("error %d\n", error);
}

/* Answers a failed result. Returns whether it was one. */
static bool failed(size_t result)
{
	if (redox_failed(result)) {
		answer_error(redox_errno(result));
		return true;
	}
	return false;
}

static size_t hex_read(const char *text, uint8_t *bytes)
{
	size_t count = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
	for (size_t i = 0; i < count; i++) {
		unsigned value = 0;
		sscanf(text + 2 * i, "%2x", &value);
		bytes[i] = (uint8_t)value;
	}
	return count;
}

static void hex_print(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		printf("%02x", bytes[i]);
	}
	printf("\n");
}

static size_t call(size_t fd, uint64_t nr, uint8_t *payload, size_t length)
{
	return redox_sys_call_v0(fd, payload, length, REDOX_CALL_READ | REDOX_CALL_WRITE, &nr, 1);
}

static void do_open(const char *path, uint32_t flags)
{
	size_t fd = redox_open_v1((const uint8_t *)path, strlen(path), flags, 0);
	if (!failed(fd)) {
		printf("ok %zu\n", fd);
	}
}

static void do_call(size_t fd, uint64_t nr, const char *hex)
{
	uint8_t *payload = malloc(strlen(hex) / 2 + 1);
	size_t length = hex_read(hex, payload);
	size_t result = call(fd, nr, payload, length);
	if (!failed(result)) {
		printf("ok %zu ", result);
		hex_print(payload, length);
	}
	free(payload);
}

static void do_read(size_t fd, size_t bytes)
{
	uint8_t *buffer = malloc(bytes + 1);
	size_t result = redox_read_v1(fd, buffer, bytes);
	if (!failed(result)) {
		printf("ok ");
		hex_print(buffer, result);
	}
	free(buffer);
}

static int map_add(void *memory, size_t bytes)
{
	maps[map_count] = (struct map) {memory, bytes};
	return map_count++;
}

static void do_mmap(size_t fd, uint64_t offset, size_t bytes, uint32_t prot, uint32_t flags)
{
	size_t result = redox_mmap_v1(NULL, bytes, prot, flags, fd, offset);
	if (!failed(result)) {
		printf("ok %d\n", map_add((void *)result, bytes));
	}
}

static struct map *map_find(const char *text)
{
	int i = atoi(text);
	return i >= 0 && i < map_count && maps[i].memory != NULL ? &maps[i] : NULL;
}

static void do_munmap(struct map *map)
{
	if (!failed(redox_munmap_v1(map->memory, map->bytes))) {
		map->memory = NULL;
		printf("ok\n");
	}
}

static void do_file(struct map *map, const char *path, bool load)
{
	int fd = open(path, load ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t at = 0;
	while (fd >= 0 && at < map->bytes) {
		ssize_t got = load ? read(fd, map->memory + at, map->bytes - at)
				   : write(fd, map->memory + at, map->bytes - at);
		if (got <= 0) {
			break;
		}
		at += (size_t)got;
	}
	close(fd);
	printf("ok %zu\n", at);
}

/* The child shares each mapping: it turns the first byte around, which the parent sees. */
static void do_fork(void)
{
	uint8_t before[MAPS_MAX];
	for (int i = 0; i < map_count; i++) {
		before[i] = maps[i].memory != NULL ? maps[i].memory[0] : 0;
	}
	pid_t child = hosted_fork();
	if (child < 0) {
		answer_error(errno);
		return;
	}
	if (child == 0) {
		for (int i = 0; i < map_count; i++) {
			if (maps[i].memory != NULL) {
				maps[i].memory[0] = before[i] ^ UINT8_MAX;
			}
		}
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	bool shared = status == 0;
	for (int i = 0; i < map_count; i++) {
		if (maps[i].memory != NULL) {
			shared = shared && (maps[i].memory[0] ^ before[i]) == UINT8_MAX;
			maps[i].memory[0] = before[i];
		}
	}
	printf("%s\n", shared ? "ok" : "error 0");
}

/* A buffer with a framebuffer. Returns 0, or -1 with errno. */
static int buffer_make(size_t fd, struct drm_mode_create_dumb *create, uint32_t *ret_fb,
		uint8_t **ret_memory)
{
	struct drm_mode_map_dumb map = {0};
	if (drm_call(fd, DRM_IOCTL_MODE_CREATE_DUMB, create) != 0) {
		return -1;
	}
	map.handle = create->handle;
	if (drm_call(fd, DRM_IOCTL_MODE_MAP_DUMB, &map) != 0) {
		return -1;
	}
	size_t memory = redox_mmap_v1(NULL, create->size, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED, fd, map.offset);
	if (redox_failed(memory)) {
		errno = redox_errno(memory);
		return -1;
	}
	struct drm_mode_fb_cmd fb = {.width = create->width,
			.height = create->height,
			.pitch = create->pitch,
			.bpp = 32,
			.depth = 24,
			.handle = create->handle};
	if (drm_call(fd, DRM_IOCTL_MODE_ADDFB, &fb) != 0) {
		return -1;
	}
	*ret_fb = fb.fb_id;
	*ret_memory = (uint8_t *)memory;
	return 0;
}

static void do_show(const char *path, uint32_t width, uint32_t height)
{
	size_t fd = redox_open_v1((const uint8_t *)path, strlen(path), REDOX_O_RDWR, 0);
	if (failed(fd)) {
		return;
	}
	uint32_t crtcs[16] = {0}, connectors[16] = {0}, encoder, fb;
	static struct drm_mode_modeinfo modes[128];
	uint8_t *memory;
	struct drm_mode_create_dumb create = {.width = width, .height = height, .bpp = 32};
	struct drm_mode_card_res resources = {.count_crtcs = 16,
			.crtc_id_ptr = (uintptr_t)crtcs,
			.count_connectors = 16,
			.connector_id_ptr = (uintptr_t)connectors};
	struct drm_mode_get_connector connector = {.count_modes = 128,
			.modes_ptr = (uintptr_t)modes,
			.count_encoders = 1,
			.encoders_ptr = (uintptr_t)&encoder};
	if (drm_call(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources) != 0) {
		answer_error(errno);
		return;
	}
	connector.connector_id = connectors[0];
	if (drm_call(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector) != 0 ||
			buffer_make(fd, &create, &fb, &memory) != 0) {
		answer_error(errno);
		return;
	}
	struct drm_mode_crtc crtc = {.set_connectors_ptr = (uintptr_t)connectors,
			.count_connectors = 1,
			.crtc_id = crtcs[0],
			.fb_id = fb,
			.mode_valid = 1,
			.mode = modes[0]};
	if (drm_call(fd, DRM_IOCTL_MODE_SETCRTC, &crtc) != 0) {
		answer_error(errno);
		return;
	}
	printf("ok %zu %u %d %u %u %u\n", fd, fb, map_add(memory, create.size), create.pitch,
			crtcs[0], connectors[0]);
}

static void do_dirty(size_t fd, uint32_t fb, struct drm_clip_rect clip)
{
	struct drm_mode_fb_dirty_cmd dirty = {
			.fb_id = fb, .num_clips = 1, .clips_ptr = (uintptr_t)&clip};
	if (drm_call(fd, DRM_IOCTL_MODE_DIRTYFB, &dirty) != 0) {
		answer_error(errno);
		return;
	}
	printf("ok\n");
}

struct race {
	volatile uint8_t *byte;
	uint8_t values[2];
	atomic_bool stop;
};

static void *race_write(void *data)
{
	struct race *race = data;
	for (unsigned i = 0; !atomic_load(&race->stop); i++) {
		*race->byte = race->values[i & 1];
	}
	return NULL;
}

struct race_counts {
	unsigned accepted, refused;
	int bad; // the first errno that is no EINVAL
};

static void race_calls(size_t fd, uint64_t nr, uint8_t *payload, const uint8_t *original,
		size_t length, size_t offset, unsigned calls, struct race_counts *counts)
{
	for (unsigned i = 0; i < calls; i++) {
		/* The answer before wrote over the rest; the racing byte is the other thread's. */
		memcpy(payload, original, offset);
		memcpy(payload + offset + 1, original + offset + 1, length - offset - 1);
		int error = redox_errno(call(fd, nr, payload, length));
		if (error == 0) {
			counts->accepted++;
		} else if (error == EINVAL) {
			counts->refused++;
		} else if (counts->bad == 0) {
			counts->bad = error;
		}
	}
}

/*
 * The payload starts on a page of memory that the simulation can share (MAP_SHARED | MAP_ANON): its
 * whole pages are the daemon's while it serves the call, with the other thread still writing.
 */
static void do_race(size_t fd, uint64_t nr, const char *hex, size_t offset, uint8_t other,
		unsigned calls)
{
	uint8_t *original = malloc(strlen(hex) / 2 + 1);
	size_t length = hex_read(hex, original);
	size_t bytes = (length + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	size_t shared = redox_mmap_v1(NULL, bytes, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED | REDOX_MAP_ANON, SIZE_MAX, 0);
	if (failed(shared)) {
		free(original);
		return;
	}
	uint8_t *payload = (uint8_t *)shared;
	struct race race = {.byte = payload + offset, .values = {original[offset], other}};
	struct race_counts counts = {0};
	pthread_t thread;
	memcpy(payload, original, length);
	if (pthread_create(&thread, NULL, race_write, &race) == 0) {
		race_calls(fd, nr, payload, original, length, offset, calls, &counts);
		atomic_store(&race.stop, true);
		pthread_join(thread, NULL);
	}
	printf("ok %u %u %d\n", counts.accepted, counts.refused, counts.bad);
	redox_munmap_v1(payload, bytes);
	free(original);
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 0);
}

static bool line_is(char **words, int count, const char *name, int arguments)
{
	return count == arguments + 1 && strcmp(words[0], name) == 0;
}

static void line_do(char **words, int count)
{
	struct map *map = count > 1 ? map_find(words[1]) : NULL;
	if (line_is(words, count, "open", 2)) {
		do_open(words[1], (uint32_t)number(words[2]));
	} else if (line_is(words, count, "close", 1)) {
		if (!failed(redox_close_v1(number(words[1])))) {
			printf("ok\n");
		}
	} else if (line_is(words, count, "call", 3)) {
		do_call(number(words[1]), number(words[2]), words[3]);
	} else if (line_is(words, count, "read", 2)) {
		do_read(number(words[1]), number(words[2]));
	} else if (line_is(words, count, "fsync", 1)) {
		if (!failed(redox_fsync_v1(number(words[1])))) {
			printf("ok\n");
		}
	} else if (line_is(words, count, "mmap", 5)) {
		do_mmap(number(words[1]), number(words[2]), number(words[3]),
				(uint32_t)number(words[4]), (uint32_t)number(words[5]));
	} else if (line_is(words, count, "munmap", 1) && map != NULL) {
		do_munmap(map);
	} else if (line_is(words, count, "load", 2) && map != NULL) {
		do_file(map, words[2], true);
	} else if (line_is(words, count, "save", 2) && map != NULL) {
		do_file(map, words[2], false);
	} else if (line_is(words, count, "fork", 0)) {
		do_fork();
	} else if (line_is(words, count, "show", 3)) {
		do_show(words[1], (uint32_t)number(words[2]), (uint32_t)number(words[3]));
	} else if (line_is(words, count, "dirty", 6)) {
		struct drm_clip_rect clip = {(uint16_t)number(words[3]), (uint16_t)number(words[4]),
				(uint16_t)number(words[5]), (uint16_t)number(words[6])};
		do_dirty(number(words[1]), (uint32_t)number(words[2]), clip);
	} else if (line_is(words, count, "race", 6)) {
		do_race(number(words[1]), number(words[2]), words[3], number(words[4]),
				(uint8_t)number(words[5]), (unsigned)number(words[6]));
	} else {
		printf("error unknown command %s\n", words[0]);
	}
}

int main(void)
{
	char *line = malloc(LINE_BYTES);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (line != NULL && fgets(line, LINE_BYTES, stdin) != NULL) {
		char *words[8];
		int count = 0;
		for (char *word = strtok(line, " \n"); word != NULL && count < 8;
				word = strtok(NULL, " \n")) {
			words[count++] = word;
		}
		if (count > 0) {
			line_do(words, count);
		}
	}
	free(line);
	return 0;
}
