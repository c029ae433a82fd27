/*
 * orbital: a client of a Redox display scheme that makes the same calls as Redox's Orbital, for the
 * demo and the tests. Here: options and the script that drives it, one command a line, one answer a
 * line.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/clients/canvas.h"
#include "tests/clients/scene.h"
#include "tests/clients/screen.h"
#include "version.h"

#define WORDS_MAX      8
#define HOLD_PERIOD_MS 100
#define RECT_PX        64

static const char usage[] =
		"Usage: orbital [options]\n"
		"Draws on a Redox display scheme with the same calls as Redox's Orbital. Without options for\n"
		"a picture it reads commands, one a line, and answers each by 'ok ...' or 'error ...'.\n"
		"\n"
		"  --display PATH     the display; without it the one of a new input consumer\n"
		"  --scene NAME       draws desktop or noise, and ends\n"
		"  --seed N           of noise and damage (default: 1)\n"
		"  --cursor X,Y       moves the cursor there\n"
		"  --frames N         draws the scene N times\n"
		"  --damage N         then redraws N random rectangles\n"
		"  --fsync            waits until all is on the monitor\n"
		"  --save FILE        writes what should now be on the monitor, as PNG\n"
		"  --hold             keeps the picture until standard input ends\n"
		"  --paint WxH        no display: draws the scene for --save\n"
		"  --help, --version\n"
		"\n"
		"Commands:\n"
		"  desktop | noise SEED | rect X Y W H SEED   draw\n"
		"  draw N SEED      draws N random rectangles, each in a redraw of its own\n"
		"  poke X Y         changes a pixel and tells nobody\n"
		"  cursor X Y | hide\n"
		"  mode INDEX       takes a mode of the monitor, by the sequence of a resize\n"
		"  redraw           looks whether the monitor has changed\n"
		"  size             answers WxH\n"
		"  activate         asks inputd for this VT and waits for it; wait-active only waits\n"
		"  fork             a child writes a pixel that the parent sees\n"
		"  fsync | save FILE | quit\n";

struct options {
	const char *display, *save;
	bool noise, fsync, hold, has_cursor;
	bool once; // an option for a picture was given: no commands are read
	uint64_t seed;
	long frames, damage;
	int cursor_x, cursor_y;
	int paint_width_px, paint_height_px; // 0: no
};

struct client {
	struct screen screen;
	bool noise; // the scene, to draw again after a resize
	uint64_t seed;
};

static int complain(const char *what, const char *detail)
{
	fprintf(stderr, "orbital: %s%s\nTry 'orbital --help'.\n", what, detail);
	return -EINVAL;
}

static bool number_parse(const char *text, long min, long max, long *ret_number)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || number < min || number > max) {
		return false;
	}
	*ret_number = number;
	return true;
}

/* Two numbers around SEPARATOR. */
static bool pair_parse(
		const char *text, char separator, int min, int max, int *ret_first, int *ret_second)
{
	char first[16];
	const char *second = strchr(text, separator);
	long numbers[2];
	if (second == NULL || (size_t)(second - text) >= sizeof(first)) {
		return false;
	}
	memcpy(first, text, (size_t)(second - text));
	first[second - text] = '\0';
	if (!number_parse(first, min, max, &numbers[0]) ||
			!number_parse(second + 1, min, max, &numbers[1])) {
		return false;
	}
	*ret_first = (int)numbers[0];
	*ret_second = (int)numbers[1];
	return true;
}

static int scene_take(struct options *options, const char *name)
{
	options->noise = strcmp(name, "noise") == 0;
	return options->noise || strcmp(name, "desktop") == 0
			? 0
			: complain("--scene is desktop or noise, not ", name);
}

static int number_take(const char *text, long *ret_number)
{
	return number_parse(text, 0, 1000000000, ret_number)
			? 0
			: complain("a number is needed, not ", text);
}

static int option_take(struct options *options, int option)
{
	long number = 0;
	int error = 0;
	switch (option) {
	case 'd':
		options->display = optarg;
		return 0;
	case 'c':
		error = scene_take(options, optarg);
		return error;
	case 's':
		error = number_take(optarg, &number);
		options->seed = (uint64_t)number;
		return error;
	case 'x':
		options->has_cursor = pair_parse(
				optarg, ',', -32768, 32767, &options->cursor_x, &options->cursor_y);
		return options->has_cursor ? 0 : complain("--cursor needs X,Y, not ", optarg);
	case 'n':
		return number_take(optarg, &options->frames);
	case 'D':
		return number_take(optarg, &options->damage);
	case 'o':
		options->save = optarg;
		return 0;
	case 'p':
		return pair_parse(optarg, 'x', 1, 16384, &options->paint_width_px,
				       &options->paint_height_px)
				? 0
				: complain("--paint needs WxH, not ", optarg);
	default:
		return -EINVAL;
	}
}

static int options_parse(struct options *options, int argc, char **argv)
{
	enum { FSYNC = 1000, HOLD, HELP, VERSION };
	static const struct option longs[] = {{"display", required_argument, NULL, 'd'},
			{"scene", required_argument, NULL, 'c'},
			{"seed", required_argument, NULL, 's'},
			{"cursor", required_argument, NULL, 'x'},
			{"frames", required_argument, NULL, 'n'},
			{"damage", required_argument, NULL, 'D'},
			{"save", required_argument, NULL, 'o'},
			{"paint", required_argument, NULL, 'p'},
			{"fsync", no_argument, NULL, FSYNC}, {"hold", no_argument, NULL, HOLD},
			{"help", no_argument, NULL, HELP}, {"version", no_argument, NULL, VERSION},
			{NULL, 0, NULL, 0}};
	*options = (struct options) {.seed = 1, .frames = 1};
	opterr = 0;
	for (;;) {
		const char *word = optind < argc ? argv[optind] : "";
		int option = getopt_long(argc, argv, "", longs, NULL);
		switch (option) {
		case -1:
			return optind < argc ? complain("unexpected ", argv[optind]) : 0;
		case FSYNC:
			options->fsync = options->once = true;
			break;
		case HOLD:
			options->hold = options->once = true;
			break;
		case HELP:
			fputs(usage, stdout);
			exit(0);
		case VERSION:
			puts("orbital " BRIDGE_VERSION);
			exit(0);
		case '?':
		case ':':
			return complain("unknown option, or one that lacks its value: ", word);
		default:
			options->once = options->once || (option != 'd' && option != 's');
			if (option_take(options, option) != 0) {
				return -EINVAL;
			}
		}
	}
}

static struct canvas_box whole(const struct canvas *canvas)
{
	return (struct canvas_box) {0, 0, canvas->width_px, canvas->height_px};
}

static void paint(const struct canvas *canvas, bool noise, uint64_t seed)
{
	struct canvas_box box = whole(canvas);
	if (noise) {
		canvas_noise(canvas, &box, seed);
	} else {
		scene_desktop(canvas);
	}
}

/* A redraw as Orbital does it: look whether the monitor changed, then tell what was damaged. */
static int redraw(struct client *client, const struct canvas_box *damage)
{
	bool resized = false;
	int error = screen_redraw(&client->screen, &resized);
	if (error != 0) {
		return error;
	}
	struct canvas_box all = whole(&client->screen.buffer.canvas);
	if (resized) {
		paint(&client->screen.buffer.canvas, client->noise, client->seed);
		return screen_damage(&client->screen, &all);
	}
	return damage != NULL ? screen_damage(&client->screen, damage) : 0;
}

static int draw_scene(struct client *client, bool noise, uint64_t seed)
{
	client->noise = noise;
	client->seed = seed;
	paint(&client->screen.buffer.canvas, noise, seed);
	struct canvas_box all = whole(&client->screen.buffer.canvas);
	return redraw(client, &all);
}

static int draw_rect(struct client *client, const struct canvas_box *box, uint64_t seed)
{
	const struct canvas *canvas = &client->screen.buffer.canvas;
	if (box->x > canvas->width_px - box->width || box->y > canvas->height_px - box->height) {
		client->screen.step = "rect";
		return -ERANGE;
	}
	canvas_noise(canvas, box, seed);
	return redraw(client, box);
}

/* COUNT rectangles of noise anywhere on the screen. */
static int draw_rects(struct client *client, long count, uint64_t seed)
{
	int error = 0;
	for (long i = 0; i < count && error == 0; i++) {
		const struct canvas *canvas = &client->screen.buffer.canvas;
		uint32_t random[4];
		struct canvas numbers = {
				.pixels = random, .stride_px = 4, .width_px = 4, .height_px = 1};
		struct canvas_box four = {0, 0, 4, 1};
		canvas_noise(&numbers, &four, seed + (uint64_t)i);
		int width = canvas->width_px < RECT_PX ? canvas->width_px : RECT_PX;
		int height = canvas->height_px < RECT_PX ? canvas->height_px : RECT_PX;
		struct canvas_box box = {.width = 1 + (int)(random[0] % (uint32_t)width),
				.height = 1 + (int)(random[1] % (uint32_t)height)};
		box.x = (int)(random[2] % (uint32_t)(canvas->width_px - box.width + 1));
		box.y = (int)(random[3] % (uint32_t)(canvas->height_px - box.height + 1));
		error = draw_rect(client, &box, seed + (uint64_t)i);
	}
	return error;
}

/* Changes a pixel without telling anybody: what a comparison must notice. */
static int poke(struct client *client, long x, long y)
{
	const struct canvas *canvas = &client->screen.buffer.canvas;
	if (x >= canvas->width_px || y >= canvas->height_px) {
		client->screen.step = "poke";
		return -ERANGE;
	}
	*canvas_at(canvas, (int)x, (int)y) ^= 0xFFFFFFu;
	return 0;
}

/* A command of the script: its name, how many numbers follow, what it does with them. Negative
 * numbers only where AnyInt. */
struct command {
	const char *name;
	int numbers;
	int (*run)(struct client *client, const long *numbers);
};

static int run_desktop(struct client *client, const long *numbers)
{
	(void)numbers;
	return draw_scene(client, false, 0);
}

static int run_noise(struct client *client, const long *numbers)
{
	return draw_scene(client, true, (uint64_t)numbers[0]);
}

static int run_rect(struct client *client, const long *numbers)
{
	struct canvas_box box = {
			(int)numbers[0], (int)numbers[1], (int)numbers[2], (int)numbers[3]};
	if (box.x < 0 || box.y < 0 || box.width < 1 || box.height < 1) {
		client->screen.step = "rect";
		return -ERANGE;
	}
	return draw_rect(client, &box, (uint64_t)numbers[4]);
}

static int run_draw(struct client *client, const long *numbers)
{
	return draw_rects(client, numbers[0], (uint64_t)numbers[1]);
}

static int run_poke(struct client *client, const long *numbers)
{
	return numbers[0] < 0 || numbers[1] < 0 ? -ERANGE : poke(client, numbers[0], numbers[1]);
}

static int run_cursor(struct client *client, const long *numbers)
{
	return screen_move_cursor(&client->screen, (int32_t)numbers[0], (int32_t)numbers[1]);
}

static int run_hide(struct client *client, const long *numbers)
{
	(void)numbers;
	return screen_hide_cursor(&client->screen);
}

static int run_mode(struct client *client, const long *numbers)
{
	int error = screen_set_mode(&client->screen, (uint32_t)numbers[0]);
	return error != 0 ? error : draw_scene(client, client->noise, client->seed);
}

static int run_redraw(struct client *client, const long *numbers)
{
	(void)numbers;
	return redraw(client, NULL);
}

static int run_fsync(struct client *client, const long *numbers)
{
	(void)numbers;
	return screen_fsync(&client->screen);
}

/* Orbital starts programs with its buffers mapped: relibc maps each again for the child, which
 * shares it. */
static int run_fork(struct client *client, const long *numbers)
{
	(void)numbers;
	volatile uint32_t *pixel = client->screen.buffer.canvas.pixels;
	uint32_t before = *pixel;
	pid_t child = fork();
	if (child == 0) {
		*pixel = before ^ 0xFFFFFFu;
		_exit(0);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		return -errno;
	}
	bool shared = *pixel == (before ^ 0xFFFFFFu);
	*pixel = before;
	return status == 0 && shared ? 0 : -ECHILD;
}

static int run_activate(struct client *client, const long *numbers)
{
	(void)numbers;
	int error = screen_activate(&client->screen);
	return error != 0 ? error : screen_wait_active(&client->screen);
}

static int run_wait_active(struct client *client, const long *numbers)
{
	(void)numbers;
	return screen_wait_active(&client->screen);
}

static const struct command commands[] = {{"desktop", 0, run_desktop}, {"noise", 1, run_noise},
		{"rect", 5, run_rect}, {"draw", 2, run_draw}, {"poke", 2, run_poke},
		{"cursor", 2, run_cursor}, {"hide", 0, run_hide}, {"mode", 1, run_mode},
		{"redraw", 0, run_redraw}, {"fsync", 0, run_fsync}, {"fork", 0, run_fork},
		{"activate", 0, run_activate}, {"wait-active", 0, run_wait_active}};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void answer(struct client *client, int error)
{
	if (error == 0) {
		puts("ok");
	} else {
		printf("error %s: %s\n", client->screen.step, strerror(-error));
	}
}

static void run_numbers(
		struct client *client, const struct command *command, char **words, int count)
{
	long numbers[WORDS_MAX];
	client->screen.step = command->name;
	if (count != command->numbers) {
		printf("error %s needs %d numbers\n", command->name, command->numbers);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (!number_parse(words[i], -0x7FFFFFFF, 0x7FFFFFFF, &numbers[i])) {
			printf("error %s: not a number: %s\n", command->name, words[i]);
			return;
		}
	}
	answer(client, command->run(client, numbers));
}

/* Runs one line. Returns false after quit. */
static bool run_line(struct client *client, char *line)
{
	char *words[WORDS_MAX];
	int count = 0;
	for (char *word = strtok(line, " \n"); word != NULL && count < WORDS_MAX;
			word = strtok(NULL, " \n")) {
		words[count++] = word;
	}
	if (count == 1 && strcmp(words[0], "quit") == 0) {
		puts("ok");
		return false;
	}
	if (count == 1 && strcmp(words[0], "size") == 0) {
		printf("ok %dx%d\n", client->screen.buffer.canvas.width_px,
				client->screen.buffer.canvas.height_px);
		return true;
	}
	if (count == 2 && strcmp(words[0], "save") == 0) {
		client->screen.step = "save";
		answer(client, screen_save(&client->screen, words[1]));
		return true;
	}
	for (size_t i = 0; count > 0 && i < COMMAND_COUNT; i++) {
		if (strcmp(words[0], commands[i].name) == 0) {
			run_numbers(client, &commands[i], words + 1, count - 1);
			return true;
		}
	}
	printf("error unknown command: %s\n", count > 0 ? words[0] : "");
	return true;
}

static void run_script(struct client *client)
{
	char line[4352];
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL && run_line(client, line)) {
	}
}

/* Follows the monitor's size until standard input ends. */
static int hold(struct client *client)
{
	for (;;) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		char bytes[256];
		int ready = poll(&input, 1, HOLD_PERIOD_MS);
		if (ready > 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0) {
			return 0;
		}
		int error = redraw(client, NULL);
		if (error != 0) {
			return error;
		}
	}
}

static int run_options(struct client *client, const struct options *options)
{
	int error = 0;
	for (long i = 0; i < options->frames && error == 0; i++) {
		error = draw_scene(client, options->noise, options->seed + (uint64_t)i);
	}
	if (error == 0) {
		error = draw_rects(client, options->damage, options->seed);
	}
	if (error == 0 && options->has_cursor) {
		error = screen_move_cursor(&client->screen, options->cursor_x, options->cursor_y);
	}
	if (error == 0 && options->fsync) {
		error = screen_fsync(&client->screen);
	}
	if (error == 0 && options->save != NULL) {
		client->screen.step = options->save;
		error = screen_save(&client->screen, options->save);
	}
	return error == 0 && options->hold ? hold(client) : error;
}

/* --paint: the scene alone. */
static int paint_file(const struct options *options)
{
	struct canvas canvas = {.stride_px = (size_t)options->paint_width_px,
			.width_px = options->paint_width_px,
			.height_px = options->paint_height_px};
	if (options->save == NULL) {
		complain("--paint needs --save FILE", "");
		return 2;
	}
	canvas.pixels = calloc(
			(size_t)canvas.width_px * (size_t)canvas.height_px, sizeof(uint32_t));
	int error = -ENOMEM;
	if (canvas.pixels != NULL) {
		paint(&canvas, options->noise, options->seed);
		error = canvas_save(&canvas, options->save);
		free(canvas.pixels);
	}
	if (error != 0) {
		fprintf(stderr, "orbital: %s: %s\n", options->save, strerror(-error));
	}
	return error == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct client client;
	struct options options;
	if (options_parse(&options, argc, argv) != 0) {
		return 2;
	}
	if (options.paint_width_px > 0) {
		return paint_file(&options);
	}
	int error = screen_open(&client.screen, options.display);
	if (error == 0 && !options.once) {
		run_script(&client);
	} else if (error == 0) {
		error = run_options(&client, &options);
	}
	if (error != 0) {
		fprintf(stderr, "orbital: %s: %s\n", client.screen.step, strerror(-error));
	}
	screen_close(&client.screen);
	return error == 0 ? 0 : 1;
}
