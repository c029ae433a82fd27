/* An argument vector that grows. A lack of memory is kept and answered once, by argv_error(). */
#ifndef VM_LAUNCH_ARGV_H
#define VM_LAUNCH_ARGV_H

#include <stddef.h>
#include <stdio.h>

struct argv {
	char **items; // owned, NULL-terminated once there is one; NULL before
	size_t count;
	int error; // -ENOMEM when something is missing
};

void argv_finish(struct argv *argv);

/* Appends one argument: a copy of TEXT. */
void argv_add(struct argv *argv, const char *text);

/* Appends one argument, formatted. */
void argv_format(struct argv *argv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Appends OPTION and then PREFIX followed by VALUE, whose commas are doubled: to QEMU they are then
 * part of the value.
 */
void argv_option(struct argv *argv, const char *option, const char *prefix, const char *value);

/* Appends the words of TEXT, which blanks separate. */
void argv_words(struct argv *argv, const char *text);

/* 0, or -ENOMEM when an argument is missing. */
int argv_error(const struct argv *argv);

/* Writes the vector as a line that sh would read back as the same arguments. */
void argv_print(const struct argv *argv, FILE *stream);

/* Writes one word so that sh reads it back unchanged. */
void argv_print_word(const char *word, FILE *stream);

#endif
