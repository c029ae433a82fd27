/* The namespace that names schemes. */
#ifndef SCHEME_NAMESPACE_H
#define SCHEME_NAMESPACE_H

struct scheme;

/* Keeps an own descriptor of the current namespace; if there is none, scheme_register says so
 * later. */
void namespace_init(struct scheme *scheme);

/* Takes all names of SCHEME out of the namespace. */
void namespace_leave(struct scheme *scheme);

void namespace_finish(struct scheme *scheme);

#endif
