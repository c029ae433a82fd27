/*
 * An Orbital-style client that a person or a test drives line by line:
 *
 *   $ orbital [--display PATH]
 *   noise 7
 *   ok
 *
 * Every line is answered by "ok", perhaps with a value behind it, or by "error TEXT". Without --display it is a consumer of inputd, as Orbital is.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/picture.h"
#include "clients/scene.h"
#include "clients/screen.h"
#include "version.h"

struct words {
	const char *name;
	long long number[5];
	const char *text; // first word behind the name
	int numbers;
};

struct command {
	const char *name;
	int (*run)(struct screen *screen, const struct words *words); // 0 or a negative errno
	int numbers;
	const char *help;
};

static struct drm_clip_rect clip(const struct words *words)
{
	return (struct drm_clip_rect) {.x1 = (unsigned short)words->number[0],
			.y1 = (unsigned short)words->number[1],
			.x2 = (unsigned short)(words->number[0] + words->number[2]),
			.y2 = (unsigned short)(words->number[1] + words->number[3])};
}

/* Shows rectangles; a mode that changed meanwhile is answered by drawing the new screen as a whole. */
static int show(struct screen *screen, const struct drm_clip_rect *damage, uint32_t count)
{
	int result = screen_redraw(screen, damage, count);
	return result > 0 ? 0 : result;
}

static int show_all(struct screen *screen)
{
	struct drm_clip_rect all = {.x2 = (unsigned short)screen->buffer.picture.width,
			.y2 = (unsigned short)screen->buffer.picture.height};
	return show(screen, &all, 1);
}

static int run_noise(struct screen *screen, const struct words *words)
{
	struct picture *picture = &screen->buffer.picture;
	picture_noise(picture, 0, 0, picture->width, picture->height, (uint64_t)words->number[0]);
	return show_all(screen);
}

static int run_desktop(struct screen *screen, const struct words *words)
{
	(void)words;
	scene_desktop(&screen->buffer.picture);
	return show_all(screen);
}

static int run_rect(struct screen *screen, const struct words *words)
{
	struct drm_clip_rect rect = clip(words);
	picture_noise(&screen->buffer.picture, rect.x1, rect.y1, (uint32_t)words->number[2],
			(uint32_t)words->number[3], (uint64_t)words->number[4]);
	return show(screen, &rect, 1);
}

/* Frames of a few random rectangles each, as windows that move. */
static int run_draw(struct screen *screen, const struct words *words)
{
	unsigned seed = (unsigned)words->number[1];
	for (long long frame = 0; frame < words->number[0]; frame++) {
		struct drm_clip_rect damage[4];
		struct picture *picture = &screen->buffer.picture;
		for (int i = 0; i < 4; i++) {
			uint32_t width = 1 + (uint32_t)rand_r(&seed) % 64;
			uint32_t height = 1 + (uint32_t)rand_r(&seed) % 64;
			uint32_t x = (uint32_t)rand_r(&seed) % (picture->width - width);
			uint32_t y = (uint32_t)rand_r(&seed) % (picture->height - height);
			picture_noise(picture, x, y, width, height, (uint64_t)rand_r(&seed));
			damage[i] = (struct drm_clip_rect) {.x1 = (unsigned short)x,
					.y1 = (unsigned short)y,
					.x2 = (unsigned short)(x + width),
					.y2 = (unsigned short)(y + height)};
		}
		int error = show(screen, damage, 4);
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

static int run_poke(struct screen *screen, const struct words *words)
{
	struct picture *picture = &screen->buffer.picture;
	if (words->number[0] < 0 || words->number[0] >= picture->width || words->number[1] < 0 ||
			words->number[1] >= picture->height) {
		return -ERANGE;
	}
	picture->pixels[(size_t)words->number[1] * picture->stride_px + (size_t)words->number[0]] ^=
			0xFFFFFF;
	return 0;
}

static int run_cursor(struct screen *screen, const struct words *words)
{
	int error = 0;
	if (screen->cursor.handle == 0) {
		return -ENXIO;
	}
	if (!screen->cursor_visible) {
		scene_cursor(&screen->cursor.picture);
		error = screen_cursor_show(screen, true);
	}
	return error != 0 ? error
			  : screen_cursor_move(screen, (int32_t)words->number[0],
					    (int32_t)words->number[1]);
}

static int run_hide(struct screen *screen, const struct words *words)
{
	(void)words;
	return screen_cursor_show(screen, false);
}

static int run_mode(struct screen *screen, const struct words *words)
{
	int error = screen_probe(screen);
	if (error != 0) {
		return error;
	}
	if (words->number[0] < 0 || words->number[0] >= screen->mode_count) {
		return -ERANGE;
	}
	return screen_resize(screen, &screen->modes[words->number[0]]);
}

static int run_size(struct screen *screen, const struct words *words)
{
	(void)words;
	printf("ok %ux%u\n", screen->buffer.picture.width, screen->buffer.picture.height);
	return 0;
}

/* What should be on the monitor: the buffer, and the cursor over it. */
static int run_save(struct screen *screen, const struct words *words)
{
	struct picture copy = screen->buffer.picture;
	copy.pixels = malloc(screen->buffer.bytes);
	if (copy.pixels == NULL || words->text == NULL) {
		free(copy.pixels);
		return copy.pixels == NULL ? -ENOMEM : -EINVAL;
	}
	memcpy(copy.pixels, screen->buffer.picture.pixels, screen->buffer.bytes);
	if (screen->cursor_visible) {
		picture_blend(&copy, &screen->cursor.picture, screen->cursor_x, screen->cursor_y);
	}
	int error = picture_save(&copy, words->text);
	free(copy.pixels);
	return error;
}

/* Orbital starts programs with its buffers mapped: relibc maps each again for the child, which really shares them. */
static int run_fork(struct screen *screen, const struct words *words)
{
	(void)words;
	volatile uint32_t *pixel = screen->buffer.picture.pixels;
	uint32_t before = *pixel;
	pid_t child = fork();
	if (child == 0) {
		*pixel = before ^ 0xFFFFFF;
		_exit(0);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		return -errno;
	}
	bool shared = *pixel == (before ^ 0xFFFFFF);
	*pixel = before;
	return status == 0 && shared ? 0 : -ECHILD;
}

static int run_fsync(struct screen *screen, const struct words *words)
{
	(void)words;
	return screen_sync(screen);
}

static int run_activate(struct screen *screen, const struct words *words)
{
	(void)words;
	return screen_activate(screen);
}

static const struct command commands[] = {
		{"size", run_size, 0, "answers WIDTHxHEIGHT of the mode"},
		{"mode", run_mode, 1, "INDEX: changes to a mode of the connector"},
		{"noise", run_noise, 1, "SEED: fills the screen"},
		{"desktop", run_desktop, 0, "draws the demo's scene"},
		{"rect", run_rect, 5, "X Y WIDTH HEIGHT SEED: noise in a rectangle"},
		{"draw", run_draw, 2, "FRAMES SEED: redraws with four random rectangles each"},
		{"poke", run_poke, 2, "X Y: changes a pixel and does not show it"},
		{"cursor", run_cursor, 2, "X Y: shows the cursor there"},
		{"hide", run_hide, 0, "hides the cursor"},
		{"fork", run_fork, 0, "forks a child that looks at the buffer"},
		{"activate", run_activate, 0, "asks inputd for this VT"},
		{"fsync", run_fsync, 0, "waits until all is on the monitor"},
		{"save", run_save, 0, "FILE: writes what should be on the monitor as PNG"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* Takes LINE apart. Returns the command, or NULL. */
static const struct command *parse(char *line, struct words *ret_words)
{
	struct words words = {.name = strtok(line, " \n")};
	char *word;
	while (words.name != NULL && words.numbers < 5 && (word = strtok(NULL, " \n")) != NULL) {
		if (words.numbers == 0) {
			words.text = word;
		}
		words.number[words.numbers++] = strtoll(word, NULL, 10);
	}
	for (size_t i = 0; words.name != NULL && i < COMMAND_COUNT; i++) {
		if (strcmp(words.name, commands[i].name) == 0 &&
				words.numbers >= commands[i].numbers) {
			*ret_words = words;
			return &commands[i];
		}
	}
	return NULL;
}

static void help(void)
{
	printf("usage: orbital [--display PATH] [--help] [--version]\n"
	       "An Orbital-style client; reads commands, one a line, and answers each with 'ok' or "
	       "'error'.\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		printf("  %-9s %s\n", commands[i].name, commands[i].help);
	}
	printf("  %-9s ends\n", "quit");
}

static void serve(struct screen *screen)
{
	char line[512];
	while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0) {
		struct words words;
		const struct command *command = parse(line, &words);
		int error = command == NULL ? -EINVAL : command->run(screen, &words);
		if (error != 0) {
			printf("error %s: %s\n",
					command == NULL ? "no such command" : command->name,
					strerror(-error));
		} else if (command->run != run_size) {
			printf("ok\n");
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
			{"display", required_argument, NULL, 'd'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'v'},
			{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			path = optarg;
			break;
		case 'h':
			help();
			return 0;
		case 'v':
			printf("orbital-style client %s\n", BRIDGE_VERSION);
			return 0;
		default:
			return 2;
		}
	}
	struct screen screen;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int error = screen_open(&screen, path);
	if (error != 0) {
		fprintf(stderr, "orbital: cannot use %s: %s\n",
				path == NULL ? "the display of inputd" : path, strerror(-error));
		return 1;
	}
	serve(&screen);
	screen_close(&screen);
	return 0;
}
