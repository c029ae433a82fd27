/* One display session: the messages of a bridge become commits and cursors on the screen, the
 * answers go back. */
#ifndef GUEST_AGENT_DISPLAY_H
#define GUEST_AGENT_DISPLAY_H

struct display;
struct link_frame;
struct screen;
struct session;

/*
 * Begins to serve SESSION (borrowed, up) from SCREEN (borrowed): sends the topology. Only one
 * display may exist for a screen at a time. Returns 0 or a negative errno.
 */
int display_create(struct screen *screen, struct session *session, struct display **ret_display);

/* Ends it: a commit under way is dropped, the picture stays. NULL is allowed. */
void display_destroy(struct display *display);

/* A frame of the session; answers as session_ops.frame does. */
int display_frame(struct display *display, const struct link_frame *frame);

#endif
