/* Mountains at dusk over a lake. */
#ifndef TESTS_CLIENTS_LANDSCAPE_H
#define TESTS_CLIENTS_LANDSCAPE_H

#include "tests/clients/canvas.h"

/* Fills the canvas. Returns 0 or -ENOMEM. */
int landscape_paint(const struct canvas *canvas);

#endif
