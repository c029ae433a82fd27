/* The client's cursor: an arrow with a soft shadow, ARGB8888 premultiplied. */
#ifndef TESTS_CLIENTS_CURSOR_H
#define TESTS_CLIENTS_CURSOR_H

#include <stdint.h>

#include "tests/clients/canvas.h"

#define CURSOR_PX 64

/* Draws the arrow; its tip is the pixel 0, 0. */
void cursor_paint(const struct canvas *canvas);

/* SOURCE (premultiplied) over UNDER, rounded to the nearest. */
uint32_t cursor_over(uint32_t source, uint32_t under);

#endif
