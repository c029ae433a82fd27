/* A DRM device by KMS, through libdrm. */
#ifndef GUEST_AGENT_KMS_H
#define GUEST_AGENT_KMS_H

#include <stddef.h>

struct backend;

/*
 * Opens PATH, or with NULL the first card that has a connector, and becomes its DRM master. Returns
 * 0 or a negative errno, with words for a person in REASON: what is wrong and what to do.
 */
int kms_create(const char *path, char *reason, size_t reason_bytes, struct backend **ret_backend);

#endif
