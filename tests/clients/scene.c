/* The demo's desktop: a landscape, windows that tell the picture's way, a bar below. All lengths
 * follow the screen's size. */
#include "tests/clients/scene.h"

#include <math.h>
#include <stdio.h>

#include "tests/clients/landscape.h"
#include "tests/clients/paint.h"

/* Lengths are drawn for a screen of this size. */
#define DESIGN_WIDTH  1280.0f
#define DESIGN_HEIGHT 800.0f
#define TITLE_HEIGHT  34.0f
#define BAR_HEIGHT    46.0f

#define INK      0xE9E6F5u
#define INK_SOFT 0xB4AECFu
#define REDOX    0xFF8A70u // what runs on Redox
#define LINK     0xFFD08Au // what is between
#define LINUX    0x7FC8F5u // what runs in the driver VM

#define REGULAR 0.115f // weights of text
#define BOLD    0.165f

struct desk {
	const struct canvas *canvas;
	float scale;           // px for a unit of the design
	float left_px, top_px; // of the design's origin
};

static float px(const struct desk *desk, float x)
{
	return roundf(desk->left_px + x * desk->scale);
}

static float py(const struct desk *desk, float y)
{
	return roundf(desk->top_px + y * desk->scale);
}

static struct paint_box box_of(const struct desk *desk, float x, float y, float width, float height)
{
	float left = px(desk, x);
	float top = py(desk, y);
	return (struct paint_box) {
			left, top, px(desk, x + width) - left, py(desk, y + height) - top};
}

static void text(const struct desk *desk, float x, float y, float size, float weight, uint32_t rgb,
		const char *words)
{
	float size_px = size * desk->scale;
	paint_text(desk->canvas, px(desk, x), py(desk, y), size_px, fmaxf(weight, 0.9f / size_px),
			rgb, words);
}

static void text_centred(const struct desk *desk, float x, float y, float size, float weight,
		uint32_t rgb, const char *words)
{
	text(desk, x - paint_text_width(size, words) / 2, y, size, weight, rgb, words);
}

static void line(const struct desk *desk, float x1, float y1, float x2, float y2, float width,
		uint32_t rgb)
{
	paint_line(desk->canvas, px(desk, x1), py(desk, y1), px(desk, x2), py(desk, y2),
			width * desk->scale, rgb, 1);
}

static void disc(const struct desk *desk, float x, float y, float radius, uint32_t rgb)
{
	paint_disc(desk->canvas, px(desk, x), py(desk, y), radius * desk->scale, rgb, 1);
}

/* An empty window with its title. */
static void window(const struct desk *desk, float x, float y, float width, float height,
		const char *title, uint32_t mark)
{
	float radius = 11 * desk->scale;
	struct paint_box body = box_of(desk, x, y, width, height);
	struct paint_box far = body;
	struct paint_box head = box_of(desk, x, y, width, TITLE_HEIGHT);
	far.y += 12 * desk->scale;
	paint_shadow(desk->canvas, &far, radius, 34 * desk->scale, 0.62f);
	paint_shadow(desk->canvas, &body, radius, 8 * desk->scale, 0.40f);
	paint_panel(desk->canvas, &body, radius, 0x221C3E, 0x191530, 0.95f);
	head.height += radius; // its lower corners lie under the body's second coat
	paint_panel(desk->canvas, &head, radius, 0x3B3162, 0x2C254C, 1);
	struct paint_box rest = box_of(desk, x, y + TITLE_HEIGHT, width, height - TITLE_HEIGHT);
	struct paint_box square = rest;
	square.height = fminf(radius * 1.2f, rest.height);
	paint_panel(desk->canvas, &square, 0, 0x211B3C, 0x201A3A, 1);
	paint_frame(desk->canvas, &body, radius, fmaxf(desk->scale, 1), 0xC9BDF0, 0.22f);
	disc(desk, x + 20, y + TITLE_HEIGHT / 2, 5.5f, mark);
	text(desk, x + 36, y + TITLE_HEIGHT / 2 + 5, 10, BOLD, INK, title);
	float right = x + width - 20;
	float middle = y + TITLE_HEIGHT / 2;
	line(desk, right - 4, middle - 4, right + 4, middle + 4, 1.6f, INK_SOFT);
	line(desk, right - 4, middle + 4, right + 4, middle - 4, 1.6f, INK_SOFT);
	line(desk, right - 28, middle + 4, right - 20, middle + 4, 1.6f, INK_SOFT);
}

static void icon_client(const struct desk *desk, float x, float y, uint32_t rgb)
{
	struct paint_box frame = box_of(desk, x - 15, y - 11, 30, 22);
	paint_frame(desk->canvas, &frame, 4 * desk->scale, 2 * desk->scale, rgb, 1);
	line(desk, x - 14, y - 4, x + 14, y - 4, 2, rgb);
	disc(desk, x - 10, y - 7.5f, 1.3f, rgb);
	line(desk, x - 7, y + 6, x - 2, y + 1, 2, rgb);
	line(desk, x - 2, y + 1, x + 2, y + 5, 2, rgb);
	line(desk, x + 2, y + 5, x + 8, y - 1, 2, rgb);
}

static void icon_bridge(const struct desk *desk, float x, float y, uint32_t rgb)
{
	line(desk, x - 18, y + 5, x + 18, y + 5, 2.4f, rgb);
	for (int side = -1; side <= 1; side += 2) {
		float tower = x + (float)side * 9;
		line(desk, tower, y - 11, tower, y + 11, 2.4f, rgb);
		line(desk, tower, y - 10, tower + (float)side * 9, y + 4, 1.4f, rgb);
	}
	float last_y = y - 10;
	for (int i = 1; i <= 8; i++) {
		float part = (float)i / 8 * 2 - 1;
		float next_y = y - 10 + (1 - part * part) * 10;
		line(desk, x - 9 + (float)(i - 1) * 2.25f, last_y, x - 9 + (float)i * 2.25f, next_y,
				1.4f, rgb);
		last_y = next_y;
	}
}

static void icon_socket(const struct desk *desk, float x, float y, uint32_t rgb)
{
	line(desk, x - 18, y, x - 9, y, 2.2f, rgb);
	line(desk, x + 9, y, x + 18, y, 2.2f, rgb);
	struct paint_box plug = box_of(desk, x - 9, y - 8, 8, 16);
	struct paint_box hole = box_of(desk, x + 2, y - 8, 8, 16);
	paint_panel(desk->canvas, &plug, 3 * desk->scale, rgb, rgb, 1);
	paint_frame(desk->canvas, &hole, 3 * desk->scale, 2 * desk->scale, rgb, 1);
	line(desk, x - 1, y - 4, x + 3, y - 4, 2, rgb);
	line(desk, x - 1, y + 4, x + 3, y + 4, 2, rgb);
}

static void icon_agent(const struct desk *desk, float x, float y, uint32_t rgb)
{
	for (int i = 0; i < 8; i++) {
		float turn = (float)i * 0.785398f;
		line(desk, x + cosf(turn) * 7, y + sinf(turn) * 7, x + cosf(turn) * 11,
				y + sinf(turn) * 11, 4, rgb);
	}
	disc(desk, x, y, 8.5f, rgb);
	disc(desk, x, y, 3.6f, 0x1E2840);
}

static void icon_monitor(const struct desk *desk, float x, float y, uint32_t rgb)
{
	struct paint_box frame = box_of(desk, x - 16, y - 12, 32, 20);
	paint_frame(desk->canvas, &frame, 3 * desk->scale, 2.2f * desk->scale, rgb, 1);
	line(desk, x, y + 8, x, y + 12, 2.4f, rgb);
	line(desk, x - 7, y + 12, x + 7, y + 12, 2.4f, rgb);
	line(desk, x - 10, y + 3, x - 4, y - 4, 1.6f, rgb);
	line(desk, x - 4, y - 4, x + 1, y + 1, 1.6f, rgb);
	line(desk, x + 1, y + 1, x + 4, y - 2, 1.6f, rgb);
	line(desk, x + 4, y - 2, x + 10, y + 3, 1.6f, rgb);
}

static const struct station {
	const char *name, *below;
	uint32_t rgb, panel;
	void (*icon)(const struct desk *desk, float x, float y, uint32_t rgb);
} stations[] = {
		{"client", "draws", REDOX, 0x3A2338, icon_client},
		{"display-bridge", "the scheme display:", REDOX, 0x3A2338, icon_bridge},
		{"virtio-vsock", "one socket", LINK, 0x39302F, icon_socket},
		{"guest-agent", "copies damage", LINUX, 0x1E2840, icon_agent},
		{"DRM", "the Linux driver", LINUX, 0x1E2840, icon_monitor},
};
#define STATION_COUNT  5
#define STATION_WIDTH  128.0f
#define STATION_HEIGHT 96.0f
#define STATION_STEP   149.0f

static void station_draw(const struct desk *desk, const struct station *station, float x, float y)
{
	struct paint_box box = box_of(desk, x, y, STATION_WIDTH, STATION_HEIGHT);
	float radius = 10 * desk->scale;
	float middle = x + STATION_WIDTH / 2;
	paint_panel(desk->canvas, &box, radius, station->panel, station->panel, 1);
	paint_frame(desk->canvas, &box, radius, fmaxf(1.5f * desk->scale, 1), station->rgb, 0.75f);
	station->icon(desk, middle, y + 28, station->rgb);
	text_centred(desk, middle, y + 64, 10, BOLD, INK, station->name);
	text_centred(desk, middle, y + 83, 8, REGULAR, INK_SOFT, station->below);
}

static void arrow(const struct desk *desk, float x1, float x2, float y)
{
	line(desk, x1, y, x2, y, 2, INK);
	line(desk, x2 - 4.5f, y - 4.5f, x2, y, 2, INK);
	line(desk, x2 - 4.5f, y + 4.5f, x2, y, 2, INK);
}

/* A bracket over some stations, with what they have in common. */
static void group(const struct desk *desk, float x, float y, int stations_count, uint32_t rgb,
		const char *name)
{
	float width = STATION_STEP * (float)(stations_count - 1) + STATION_WIDTH;
	float half = paint_text_width(9.5f, name) / 2 + 9;
	float middle = x + width / 2;
	line(desk, x, y + 6, x, y, 1.6f, rgb);
	line(desk, x, y, middle - half, y, 1.6f, rgb);
	line(desk, middle + half, y, x + width, y, 1.6f, rgb);
	line(desk, x + width, y, x + width, y + 6, 1.6f, rgb);
	text_centred(desk, middle, y + 5, 9.5f, BOLD, rgb, name);
}

static void window_way(const struct desk *desk, float x, float y)
{
	static const char *const words[] = {
			"These pixels lie in a buffer that a client of a Redox display scheme has "
			"mapped.",
			"DIRTYFB says which of them changed. They cross one socket into a virtual "
			"machine,",
			"where Linux drives the device: its monitor shows what you see.",
	};
	window(desk, x, y, 772, 284, "The way of this picture", REDOX);
	float left = x + 24;
	float top = y + 84;
	group(desk, left, top - 20, 2, REDOX, "Redox");
	group(desk, left + 2 * STATION_STEP, top - 20, 1, LINK, "link");
	group(desk, left + 3 * STATION_STEP, top - 20, 2, LINUX, "driver VM, Linux");
	for (int i = 0; i < STATION_COUNT; i++) {
		float at = left + (float)i * STATION_STEP;
		station_draw(desk, &stations[i], at, top);
		if (i > 0) {
			arrow(desk, at - (STATION_STEP - STATION_WIDTH) + 3, at - 4,
					top + STATION_HEIGHT / 2);
		}
	}
	for (int i = 0; i < 3; i++) {
		text(desk, left, top + STATION_HEIGHT + 34 + (float)i * 23, 10, REGULAR,
				i == 0 ? INK : INK_SOFT, words[i]);
	}
}

static void window_calls(const struct desk *desk, float x, float y)
{
	char size[48];
	char damage[48];
	snprintf(size, sizeof(size), "%d x %d, 32 bits a pixel", desk->canvas->width_px,
			desk->canvas->height_px);
	snprintf(damage, sizeof(damage), "0,0 to %d,%d", desk->canvas->width_px,
			desk->canvas->height_px);
	const char *const rows[][2] = {
			{"open", "the display of this VT"},
			{"GETCONNECTOR", "which monitor, which modes"},
			{"CREATE_DUMB", size},
			{"MAP_DUMB, mmap", "the buffer, to draw into"},
			{"ADDFB, SETCRTC", "shown from now on"},
			{"CURSOR2", "64 x 64, with alpha"},
			{"DIRTYFB", damage},
	};
	const int count = sizeof(rows) / sizeof(rows[0]);
	window(desk, x, y, 452, 268, "What the client calls", LINUX);
	for (int i = 0; i < count; i++) {
		float row = y + TITLE_HEIGHT + 31 + (float)i * 27;
		text(desk, x + 22, row, 9, REGULAR, 0x8E86B0, ">");
		text(desk, x + 40, row, 9.5f, BOLD, i % 2 == 0 ? LINK : REDOX, rows[i][0]);
		text(desk, x + 196, row, 9.5f, REGULAR, INK, rows[i][1]);
	}
	struct paint_box caret =
			box_of(desk, x + 40, y + TITLE_HEIGHT + 31 + (float)count * 27 - 11, 8, 13);
	paint_panel(desk->canvas, &caret, 0, INK, INK, 0.85f);
}

/* Rings that get narrower outwards: one wrong pixel shows. */
static void rings(const struct desk *desk, const struct paint_box *box)
{
	float cx = box->x + box->width / 2;
	float cy = box->y + box->height / 2;
	for (int y = (int)box->y; y < (int)(box->y + box->height); y++) {
		for (int x = (int)box->x; x < (int)(box->x + box->width); x++) {
			float dx = (float)x + 0.5f - cx;
			float dy = (float)y + 0.5f - cy;
			float wave = 0.5f + 0.5f * cosf((dx * dx + dy * dy) * 1.5708f / box->width);
			uint32_t level = (uint32_t)lrintf(wave * 255);
			paint_pixel(desk->canvas, x, y, level << 16 | level << 8 | level, 1);
		}
	}
}

static void window_colours(const struct desk *desk, float x, float y)
{
	static const uint32_t bars[] = {0xF4F1E8, 0xF2D15C, 0x5CC8C0, 0x7BBF5A, 0xC06BB5, 0xE0604C,
			0x4A6FD0, 0x16121F};
	window(desk, x, y, 380, 190, "Every pixel counts", LINK);
	float left = x + 20;
	float top = y + TITLE_HEIGHT + 18;
	for (int i = 0; i < 8; i++) {
		struct paint_box bar = box_of(desk, left + (float)i * 27, top, 27, 64);
		paint_panel(desk->canvas, &bar, 0, bars[i], bars[i], 1);
	}
	struct paint_box ramp = box_of(desk, left, top + 72, 216, 20);
	for (int column = 0; column < (int)ramp.width; column++) {
		uint32_t level = (uint32_t)lrintf((float)column * 255 / ramp.width);
		struct paint_box thin = {ramp.x + (float)column, ramp.y, 1, ramp.height};
		paint_panel(desk->canvas, &thin, 0, level << 16 | level << 8 | level,
				level << 16 | level << 8 | level, 1);
	}
	struct paint_box comb = box_of(desk, left, top + 98, 216, 20);
	for (int row = 0; row < (int)comb.height; row++) {
		for (int column = 0; column < (int)comb.width; column++) {
			int period = 1 + column * 6 / (int)(comb.width + 1);
			uint32_t rgb = (column / period + row / period) % 2 == 0 ? 0xFFFFFF
										 : 0x000000;
			paint_pixel(desk->canvas, (int)comb.x + column, (int)comb.y + row, rgb, 1);
		}
	}
	struct paint_box square = box_of(desk, left + 224, top, 118, 118);
	rings(desk, &square);
}

/* The bar at the lower edge reaches over the whole screen, whatever its shape. */
static void bar(const struct desk *desk)
{
	char size[32];
	float width_px = (float)desk->canvas->width_px;
	float height_px = roundf(BAR_HEIGHT * desk->scale);
	struct paint_box all = {0, (float)desk->canvas->height_px - height_px, width_px, height_px};
	struct paint_box edge = {0, all.y, width_px, fmaxf(roundf(desk->scale), 1)};
	paint_panel(desk->canvas, &all, 0, 0x1A1532, 0x120E26, 0.88f);
	paint_panel(desk->canvas, &edge, 0, 0xC9BDF0, 0xC9BDF0, 0.20f);
	/* From here on lengths are measured from the bar's own corner. */
	struct desk inside = *desk;
	inside.left_px = 0;
	inside.top_px = all.y;
	float middle = BAR_HEIGHT / 2;
	disc(&inside, 30, middle, 13, REDOX);
	disc(&inside, 30, middle, 9, 0x1A1532);
	disc(&inside, 30, middle, 4.5f, LINK);
	static const uint32_t marks[] = {REDOX, LINUX, LINK};
	for (int i = 0; i < 3; i++) {
		float x = 62 + (float)i * 44;
		struct paint_box tile = box_of(&inside, x, 7, 34, 32);
		paint_panel(desk->canvas, &tile, 8 * desk->scale, 0x3A3163, 0x2A2448, 1);
		disc(&inside, x + 17, middle - 1, 6, marks[i]);
		line(&inside, x + 12, 42, x + 22, 42, 2.4f, INK_SOFT);
	}
	snprintf(size, sizeof(size), "%d x %d", desk->canvas->width_px, desk->canvas->height_px);
	inside.left_px = width_px;
	float size_width = paint_text_width(10, size);
	text(&inside, -24 - size_width, middle + 5, 10, BOLD, INK, size);
	static const char words[] = "Redox, driven by Linux";
	text(&inside, -48 - size_width - paint_text_width(10, words), middle + 5, 10, REGULAR,
			INK_SOFT, words);
}

void scene_desktop(const struct canvas *canvas)
{
	struct desk desk = {.canvas = canvas};
	desk.scale = fminf((float)canvas->width_px / DESIGN_WIDTH,
			(float)canvas->height_px / DESIGN_HEIGHT);
	desk.left_px = ((float)canvas->width_px - DESIGN_WIDTH * desk.scale) / 2;
	desk.top_px = ((float)canvas->height_px - DESIGN_HEIGHT * desk.scale) / 2;
	if (landscape_paint(canvas) != 0) {
		struct paint_box all = {0, 0, (float)canvas->width_px, (float)canvas->height_px};
		paint_panel(canvas, &all, 0, 0x1B1747, 0x7B3C72, 1); // no memory for more
	}
	window_colours(&desk, 84, 470);
	window_way(&desk, 56, 48);
	window_calls(&desk, 772, 436);
	bar(&desk);
}
