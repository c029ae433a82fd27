/*
 * The keys of the configuration: one table says in which section each may stand, what it takes and
 * where it goes.
 */
#ifndef VM_LAUNCH_CONFIG_KEY_H
#define VM_LAUNCH_CONFIG_KEY_H

#include <stddef.h>

#include "vm-launch/config.h"

enum section {
	SECTION_NONE,
	SECTION_VM,
	SECTION_DEVICE,
	SECTION_BRIDGE,
	SECTION_VSOCK,
	SECTION_IMAGE
};

#define CONFIG_KEYS 29u

/*
 * The index of the key called NAME in a section of this kind, below CONFIG_KEYS; CONFIG_KEYS when
 * there is none.
 */
size_t config_key_find(enum section section, const char *name);

/*
 * Sets key INDEX of OBJECT, the struct of its section, from VALUE; FOLDER is what paths are
 * relative to. Returns 0, or -EINVAL or -ENOMEM with the reason in RET_REASON.
 */
int config_key_set(size_t index, void *object, const char *folder, const char *value,
		char ret_reason[CONFIG_MESSAGE_BYTES]);

/* Frees every string of OBJECT, the struct of a section of this kind. */
void config_key_release(enum section section, void *object);

#endif
