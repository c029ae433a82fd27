/* What the client draws for people to look at. */
#ifndef TESTS_CLIENTS_SCENE_H
#define TESTS_CLIENTS_SCENE_H

#include "tests/clients/canvas.h"

/* A desktop at dusk that tells how it came to the monitor. Any size; the same size gives the same
 * pixels. */
void scene_desktop(const struct canvas *canvas);

#endif
