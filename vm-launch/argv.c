/*
 * Argument vectors. The invariant: while error is 0, items[count] is NULL and every argument asked
 * for is there. No shell is ever involved in running them.
 */
#include "vm-launch/argv.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void argv_finish(struct argv *argv)
{
	for (size_t i = 0; i < argv->count; i++) {
		free(argv->items[i]);
	}
	free(argv->items);
	*argv = (struct argv) {0};
}

/* Takes TEXT; NULL stands for a failed allocation. */
static void take(struct argv *argv, char *text)
{
	char **items = text ? realloc(argv->items, (argv->count + 2) * sizeof(*items)) : NULL;

	if (!items) {
		free(text);
		argv->error = -ENOMEM;
		return;
	}
	argv->items = items;
	items[argv->count++] = text;
	items[argv->count] = NULL;
}

void argv_add(struct argv *argv, const char *text)
{
	take(argv, strdup(text));
}

void argv_format(struct argv *argv, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0) {
		text = NULL;
	}
	va_end(arguments);
	take(argv, text);
}

void argv_option(struct argv *argv, const char *option, const char *prefix, const char *value)
{
	size_t used = strlen(prefix);
	char *text = malloc(used + 2 * strlen(value) + 1);

	argv_add(argv, option);
	if (text) {
		memcpy(text, prefix, used);
		for (; *value; value++) {
			text[used++] = *value;
			if (*value == ',') {
				text[used++] = ',';
			}
		}
		text[used] = '\0';
	}
	take(argv, text);
}

void argv_words(struct argv *argv, const char *text)
{
	for (;;) {
		text += strspn(text, " \t");
		size_t length = strcspn(text, " \t");

		if (length == 0) {
			return;
		}
		take(argv, strndup(text, length));
		text += length;
	}
}

int argv_error(const struct argv *argv)
{
	return argv->error;
}

static int is_plain(const char *word)
{
	for (const char *at = word; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("-_./=,:+@%", *at)) {
			return 0;
		}
	}
	return *word != '\0';
}

void argv_print_word(const char *word, FILE *stream)
{
	if (is_plain(word)) {
		fputs(word, stream);
		return;
	}
	fputc('\'', stream);
	for (; *word; word++) {
		if (*word == '\'') {
			fputs("'\\''", stream);
		} else {
			fputc(*word, stream);
		}
	}
	fputc('\'', stream);
}

void argv_print(const struct argv *argv, FILE *stream)
{
	for (size_t i = 0; i < argv->count; i++) {
		if (i > 0) {
			fputc(' ', stream);
		}
		argv_print_word(argv->items[i], stream);
	}
	fputc('\n', stream);
}
