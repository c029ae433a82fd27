/*
 * Log lines on stderr, each by one write so that lines of several processes do not mix. Nothing is
 * buffered: what was logged before a crash can be read. The invariant: no line contains a control
 * character, whatever a peer put into its text.
 *
 * Threads: levels are set once, by log_init; lines may come from any thread.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"

#define LINE_BYTES 1024

static const char *const level_names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
		[LOG_TRACE] = "trace",
};
#define LEVELS (sizeof(level_names) / sizeof(level_names[0]))

static const char *const topic_names[LOG_TOPICS] = {
		[LOG_MAIN] = "main",
		[LOG_WIRE] = "wire",
		[LOG_SCHEME] = "scheme",
		[LOG_DISPLAY] = "display",
		[LOG_AUDIO] = "audio",
		[LOG_VM] = "vm",
		[LOG_VSOCK] = "vsock",
};

static const char *log_program = "?";
static enum log_level log_levels[LOG_TOPICS] = {
		LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO};

/* Index of the NAME of LENGTH bytes in NAMES, or -1. */
static int name_find(const char *const *names, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* Applies one item of LOG, "level" or "topic:level". Returns whether it was understood. */
static bool item_apply(const char *item, size_t length)
{
	const char *colon = memchr(item, ':', length);
	const char *level_text = colon == NULL ? item : colon + 1;
	int level = name_find(
			level_names, LEVELS, level_text, length - (size_t)(level_text - item));

	if (level < 0) {
		return false;
	}
	if (colon == NULL) {
		for (size_t i = 0; i < LOG_TOPICS; i++) {
			log_levels[i] = (enum log_level)level;
		}
		return true;
	}
	int topic = name_find(topic_names, LOG_TOPICS, item, (size_t)(colon - item));
	if (topic < 0) {
		return false;
	}
	log_levels[topic] = (enum log_level)level;
	return true;
}

void log_init(const char *program)
{
	const char *item = getenv("LOG");

	log_program = program;
	for (size_t i = 0; i < LOG_TOPICS; i++) {
		log_levels[i] = LOG_INFO;
	}
	while (item != NULL && *item != '\0') {
		size_t length = strcspn(item, ",");

		if (length > 0 && !item_apply(item, length)) {
			log_warn(LOG_MAIN,
					"LOG: \"%.*s\" is ignored; write level or topic:level, "
					"such as "
					"LOG=debug,wire:trace",
					(int)length, item);
		}
		item += length;
		if (*item == ',') {
			item++;
		}
	}
}

bool log_enabled(enum log_level level, enum log_topic topic)
{
	return level <= log_levels[topic];
}

static void line_print(enum log_level level, enum log_topic topic, const char *format, va_list args)
		__attribute__((format(printf, 3, 0)));

static void line_print(enum log_level level, enum log_topic topic, const char *format, va_list args)
{
	char line[LINE_BYTES];
	uint64_t now_ms = clock_now_ns() / CLOCK_NS_PER_MS;
	int head = snprintf(line, sizeof(line),
			"%6llu.%03llu %s[%ld] %s %s: ", (unsigned long long)(now_ms / 1000),
			(unsigned long long)(now_ms % 1000), log_program, (long)getpid(),
			level_names[level], topic_names[topic]);

	if (head < 0 || (size_t)head >= sizeof(line) - 1) {
		return;
	}
	int text = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
	if (text < 0) {
		return;
	}
	size_t length = (size_t)head + (size_t)text;
	if (length > sizeof(line) - 1) {
		length = sizeof(line) - 1;
		memcpy(line + length - 3, "...", 3);
	}
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
			line[i] = '?';
		}
	}
	line[length] = '\n';
	while (write(STDERR_FILENO, line, length + 1) < 0 && errno == EINTR) {
	}
}

void log_line(enum log_level level, enum log_topic topic, const char *format, ...)
{
	if (!log_enabled(level, topic)) {
		return;
	}
	int saved_errno = errno;
	va_list args;

	va_start(args, format);
	line_print(level, topic, format, args);
	va_end(args);
	errno = saved_errno;
}

void log_line_limited(struct log_limit *limit, enum log_level level, enum log_topic topic,
		const char *format, ...)
{
	if (!log_enabled(level, topic)) {
		return;
	}
	int saved_errno = errno;
	uint64_t now_ns = clock_now_ns();

	if (limit->lines == 0 || now_ns - limit->window_start_ns >= CLOCK_NS_PER_S) {
		uint32_t dropped = limit->dropped;

		*limit = (struct log_limit) {.window_start_ns = now_ns};
		if (dropped > 0) {
			log_line(level, topic, "%u lines like the next were left out", dropped);
		}
	}
	if (limit->lines == LIMIT_LOG_PER_SECOND) {
		limit->dropped++;
	} else {
		va_list args;

		limit->lines++;
		va_start(args, format);
		line_print(level, topic, format, args);
		va_end(args);
	}
	errno = saved_errno;
}
