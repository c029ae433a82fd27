/*
 * One split virtqueue (virtio 1.2, 2.7) from the device's side. Everything in it is written by the
 * guest at any time: indices and descriptors are read once, checked, then used. The first fault
 * breaks the ring: it takes nothing more until it is set up again.
 *
 *   stopped ──vring_start──► running ──fault──► broken
 *      ▲────────────vring_stop──┴─────────────────┘
 */
#ifndef VSOCK_VRING_H
#define VSOCK_VRING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct memory;
struct loop_source;

#define VRING_SIZE_MAX 1024u
#define VRING_IOV_MAX  1024u // pieces of one chain, and of one readv or writev
#define VRING_KICK_READ \
	64u // bytes read from a kick at once: an eventfd gives 8, a pipe 8 for each kick

struct vring_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct vring_used_element {
	uint32_t head;
	uint32_t bytes;
};

/* What a descriptor chain is, checked and translated. */
struct vring_chain {
	uint16_t head;
	uint32_t iov_count;
	uint64_t bytes;
};

struct vring {
	const struct memory *memory; // borrowed
	uint32_t size;
	uint64_t desc_user, avail_user, used_user; // addresses of the front end
	bool has_addresses;
	const struct vring_desc *desc; // the three areas; NULL unless running
	const uint16_t *avail;         // flags, index, ring[size], used_event
	uint16_t *used;                // flags, index, elements[size], avail_event
	uint16_t next_avail;           // entry to be taken next
	uint16_t avail_seen;           // the guest's index as last read
	uint16_t next_used;            // entry to be filled next
	uint16_t published;            // used index that the guest sees
	uint16_t signalled;            // used index at the last signal
	bool event_idx;                // VIRTIO_RING_F_EVENT_IDX is agreed
	bool wants_kicks;
	bool enabled;
	bool broken;
	const char *fault; // static text: why it is broken
	int kick_fd, call_fd, error_fd;
	struct loop_source *kick_source; // owned by whoever starts the ring
};

void vring_init(struct vring *ring, const struct memory *memory);

/* Closes the descriptors; kick_source must be gone. */
void vring_finish(struct vring *ring);

/* Sets the number of entries. Returns 0, or -EINVAL unless it is a power of two up to
 * VRING_SIZE_MAX. */
int vring_set_size(struct vring *ring, uint32_t untrusted_size);

/* Finds the three areas in the memory and takes the used index from there. Returns 0, or -EINVAL
 * (then it is broken). */
int vring_start(struct vring *ring);

/* Forgets the areas; next_avail stays for the front end to ask. */
void vring_stop(struct vring *ring);

/* The memory table was replaced: finds the areas again, the positions stay. Returns 0 or -EINVAL
 * (then it is broken). */
int vring_relocate(struct vring *ring);

/* Whether it may be used: started, enabled and not broken. */
bool vring_is_usable(const struct vring *ring);

/* Breaks it. FAULT is static text. Returns -EPROTO. */
int vring_break(struct vring *ring, const char *fault);

/*
 * Takes the next chain; its pieces go to IOV. All descriptors must be writable by the device, or
 * all not (WRITABLE). Returns 1; 0 when there is none; -ENOBUFS when IOV_MAX is too few for it
 * (nothing was taken); -EPROTO when the guest broke the rules: the ring is broken then.
 */
int vring_pop(struct vring *ring, bool writable, struct vring_chain *ret_chain, struct iovec *iov,
		uint32_t iov_max);

/* Gives the last COUNT chains back untouched: they are popped again. */
void vring_unpop(struct vring *ring, uint16_t count);

/* Fills a used element; the guest sees it after vring_publish. */
void vring_push(struct vring *ring, uint16_t head, uint32_t written_bytes);
void vring_publish(struct vring *ring);

/* Interrupts the guest, if it asked for it, by the call descriptor. Never blocks. */
void vring_signal(struct vring *ring);

/* Interrupts the guest whether it asked for it or not, if the ring is running. */
void vring_signal_always(struct vring *ring);

/* Asks the guest for kicks; answers true when entries have come in meanwhile (look again). */
bool vring_enable_kicks(struct vring *ring);
void vring_disable_kicks(struct vring *ring);

/* Empties the kick descriptor. Returns 0, or -EPIPE when its other end is gone. */
int vring_drain_kick(const struct vring *ring);

#endif
