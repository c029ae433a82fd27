/*
 * One line a record on stderr: monotonic seconds, program, pid, level, topic, text.
 * LOG=debug,wire:trace in the environment selects levels. errno survives every call. Whoever
 * handles an error logs it, once; library code does not log.
 *
 * Whatever a peer or an app can cause goes through log_peer(): at most LIMIT_LOG_PER_SECOND lines a
 * second for each place in the code, then one line that says how many were left out. Nothing is
 * ever logged per request (redox-run.md 1.5: a display daemon that logs each request makes
 * fbbootlogd draw, which causes the next request).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_topic {
	LOG_MAIN,
	LOG_WIRE,
	LOG_SCHEME,
	LOG_DISPLAY,
	LOG_AUDIO,
	LOG_VM,
	LOG_VSOCK,
	LOG_TOPICS
};

/* State of the rate limit of one place in the code. */
struct log_limit {
	uint64_t window_start_ns;
	uint32_t lines;
	uint32_t dropped;
};

/* Sets the program's name (borrowed for ever) and reads LOG. */
void log_init(const char *program);

/* Whether a line of this LEVEL and TOPIC would be printed. */
bool log_enabled(enum log_level level, enum log_topic topic);

/* Prints one line; the text has no newline. Control characters in it are replaced by '?'. */
void log_line(enum log_level level, enum log_topic topic, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* As log_line, but limited by LIMIT. */
void log_line_limited(struct log_limit *limit, enum log_level level, enum log_topic topic,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

#define log_error(topic, ...) log_line(LOG_ERROR, topic, __VA_ARGS__)
#define log_warn(topic, ...)  log_line(LOG_WARN, topic, __VA_ARGS__)
#define log_info(topic, ...)  log_line(LOG_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...) log_line(LOG_DEBUG, topic, __VA_ARGS__)

/* A warning about something that a peer or an app did; rate limited for each place where it stands.
 */
#define log_peer(topic, ...)                                                     \
	do {                                                                     \
		static struct log_limit log_peer_limit;                          \
		log_line_limited(&log_peer_limit, LOG_WARN, topic, __VA_ARGS__); \
	} while (0)

#endif
