/* What the demo shows: a desktop, and the arrow of its mouse. Drawn by arithmetic alone, the same on every machine. */
#ifndef TESTS_CLIENTS_SCENE_H
#define TESTS_CLIENTS_SCENE_H

#include "clients/picture.h"

/* Fills the whole picture, of any size. */
void scene_desktop(struct picture *picture);

/* Fills a cursor's picture with an arrow, premultiplied ARGB; the tip is at its left upper corner. */
void scene_cursor(struct picture *cursor);

#endif
