/*
 * A stand-in for Redox's inputd, in both generations (redox-abi.md 5.1 to 5.3, redox-run.md 1 "5
 * inputd of July"): VTs, consumers, producers, the handshake with displays. It behaves as badly as
 * the real one: where that panics, this aborts.
 */
#ifndef HOSTED_INPUTD_INPUTD_H
#define HOSTED_INPUTD_INPUTD_H

#include <stdint.h>

struct loop;
struct inputd;

enum inputd_generation {
	INPUTD_OLD, // displays read VtEvents from their handle; a capability is refused
	INPUTD_NEW, // displays give a capability, and are called on it
};

/* One event of a keyboard or pointer, as orbclient has it. */
struct inputd_event {
	int64_t code, a, b;
};

/* What displays get at a VT switch, and what is written to `control`. */
struct inputd_message {
	uint64_t kind; // VtEvent: 0 = activate. Control: 1 = activate, 2 = keymap
	uint64_t data; // the VT
};

#define INPUTD_CONTROL_ACTIVATE 1
#define INPUTD_CONTROL_KEYMAP   2
#define INPUTD_EVENT_KEY        1
#define INPUTD_KEY_PRESSED      0x100

/* Serves the scheme NAME. Returns 0 or a negative errno. */
int inputd_create(struct loop *loop, enum inputd_generation generation, const char *name,
		struct inputd **ret_inputd);

/* NULL is allowed. */
void inputd_destroy(struct inputd *inputd);

#endif
