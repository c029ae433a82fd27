/*
 * Split virtqueue, device side.
 *
 * Invariant: desc, avail and used are NULL unless the ring is running, and then cover SIZE entries
 * of mapped memory. No value in shared memory is read twice for one decision.
 */
#include "vm-launch/vsock/vring.h"

#include <errno.h>
#include <unistd.h>
#include "common/fd.h"
#include "vm-launch/vsock/memory.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

/* Places in the areas, counted in u16. */
#define AVAIL_FLAGS 0u
#define AVAIL_INDEX 1u
#define AVAIL_RING  2u
#define USED_FLAGS  0u
#define USED_INDEX  1u
#define USED_RING   2u // elements of four u16

void vring_init(struct vring *ring, const struct memory *memory)
{
	*ring = (struct vring) {.memory = memory, .kick_fd = -1, .call_fd = -1, .error_fd = -1};
}

void vring_finish(struct vring *ring)
{
	fd_close(&ring->kick_fd);
	fd_close(&ring->call_fd);
	fd_close(&ring->error_fd);
	vring_init(ring, ring->memory);
}

int vring_set_size(struct vring *ring, uint32_t untrusted_size)
{
	if (untrusted_size == 0 || untrusted_size > VRING_SIZE_MAX ||
			(untrusted_size & (untrusted_size - 1)) != 0) {
		return -EINVAL;
	}
	ring->size = untrusted_size;
	return 0;
}

int vring_break(struct vring *ring, const char *fault)
{
	if (!ring->broken) {
		ring->broken = true;
		ring->fault = fault;
	}
	return -EPROTO;
}

static bool is_aligned(const void *pointer, uintptr_t alignment)
{
	return ((uintptr_t)pointer & (alignment - 1)) == 0;
}

int vring_relocate(struct vring *ring)
{
	ring->desc = NULL;
	ring->avail = NULL;
	ring->used = NULL;
	if (ring->size == 0 || !ring->has_addresses) {
		vring_break(ring, "it was started without size or addresses");
		return -EINVAL;
	}
	uint64_t size = ring->size;
	void *desc = memory_at_user(
			ring->memory, ring->desc_user, size * sizeof(struct vring_desc));
	void *avail = memory_at_user(ring->memory, ring->avail_user, 2 * (AVAIL_RING + size + 1));
	void *used = memory_at_user(ring->memory, ring->used_user,
			2 * (USED_RING + 1) + size * sizeof(struct vring_used_element));
	if (!desc || !avail || !used) {
		vring_break(ring, "it does not lie in the shared memory");
		return -EINVAL;
	}
	if (!is_aligned(desc, 8) || !is_aligned(avail, 2) || !is_aligned(used, 4)) {
		vring_break(ring, "it is not aligned");
		return -EINVAL;
	}
	ring->desc = desc;
	ring->avail = avail;
	ring->used = used;
	return 0;
}

int vring_start(struct vring *ring)
{
	ring->broken = false;
	ring->fault = NULL;
	int error = vring_relocate(ring);
	if (error) {
		return error;
	}
	ring->avail_seen = ring->next_avail;
	ring->next_used = __atomic_load_n(&ring->used[USED_INDEX], __ATOMIC_RELAXED);
	ring->published = ring->next_used;
	ring->signalled = ring->next_used;
	vring_enable_kicks(ring);
	return 0;
}

void vring_stop(struct vring *ring)
{
	ring->desc = NULL;
	ring->avail = NULL;
	ring->used = NULL;
	ring->broken = false;
	ring->fault = NULL;
}

bool vring_is_usable(const struct vring *ring)
{
	return ring->desc && ring->enabled && !ring->broken;
}

static struct vring_desc desc_copy(const struct vring_desc *untrusted_desc)
{
	return (struct vring_desc) {
			.address = __atomic_load_n(&untrusted_desc->address, __ATOMIC_RELAXED),
			.bytes = __atomic_load_n(&untrusted_desc->bytes, __ATOMIC_RELAXED),
			.flags = __atomic_load_n(&untrusted_desc->flags, __ATOMIC_RELAXED),
			.next = __atomic_load_n(&untrusted_desc->next, __ATOMIC_RELAXED),
	};
}

/* Adds what DESC names to the chain's pieces: more than one piece where it crosses regions. */
static int chain_add(struct vring *ring, struct vring_chain *chain, const struct vring_desc *desc,
		struct iovec *iov, uint32_t iov_max)
{
	uint64_t address = desc->address;
	uint64_t left = desc->bytes;
	while (left > 0) {
		uint64_t together = 0;
		void *base = memory_at(ring->memory, address, left, &together);
		if (!base) {
			return vring_break(ring, "a descriptor points outside the shared memory");
		}
		if (chain->iov_count == iov_max) {
			return -ENOBUFS;
		}
		iov[chain->iov_count++] = (struct iovec) {base, (size_t)together};
		address += together; // cannot wrap: the region's end does not
		left -= together;
	}
	chain->bytes += desc->bytes;
	return 0;
}

/* The table of descriptors that an indirect one names. It has to lie in one piece. */
static int indirect_find(struct vring *ring, const struct vring_desc *desc,
		const struct vring_desc **ret_table, uint32_t *ret_size)
{
	uint32_t entries = desc->bytes / (uint32_t)sizeof(*desc);
	uint64_t together = 0;
	if (desc->bytes % sizeof(*desc) != 0 || entries == 0 || entries > VRING_SIZE_MAX) {
		return vring_break(ring, "an indirect table has a wrong size");
	}
	const void *table = memory_at(ring->memory, desc->address, desc->bytes, &together);
	if (!table || together < desc->bytes || !is_aligned(table, 8)) {
		return vring_break(ring, "an indirect table lies outside the shared memory");
	}
	*ret_table = table;
	*ret_size = entries;
	return 0;
}

static int chain_walk(struct vring *ring, bool writable, struct vring_chain *chain,
		struct iovec *iov, uint32_t iov_max)
{
	const struct vring_desc *table = ring->desc;
	uint32_t size = ring->size;
	uint32_t index = chain->head;
	bool indirect = false;
	for (uint32_t steps = 0;; steps++) {
		if (steps == size) {
			return vring_break(ring, "a descriptor chain is longer than its table");
		}
		struct vring_desc desc = desc_copy(&table[index]);
		if (desc.flags & DESC_INDIRECT) {
			if (indirect || steps > 0 || (desc.flags & DESC_NEXT)) {
				return vring_break(
						ring, "an indirect table in a chain or in another");
			}
			int error = indirect_find(ring, &desc, &table, &size);
			if (error) {
				return error;
			}
			indirect = true;
			index = 0;
			steps = UINT32_MAX; // counts anew in the table
			continue;
		}
		if (((desc.flags & DESC_WRITE) != 0) != writable) {
			return vring_break(ring, "a descriptor has the wrong direction");
		}
		int error = chain_add(ring, chain, &desc, iov, iov_max);
		if (error) {
			return error;
		}
		if (!(desc.flags & DESC_NEXT)) {
			return 1;
		}
		if (desc.next >= size) {
			return vring_break(
					ring, "a descriptor names a next one that does not exist");
		}
		index = desc.next;
	}
}

/* Whether the guest has offered more; reads its index only when what was seen is used up. */
static int avail_check(struct vring *ring)
{
	if (ring->avail_seen != ring->next_avail) {
		return 1;
	}
	uint16_t index = __atomic_load_n(&ring->avail[AVAIL_INDEX], __ATOMIC_ACQUIRE);
	if ((uint16_t)(index - ring->next_avail) > ring->size) {
		return vring_break(ring, "the available index jumps");
	}
	ring->avail_seen = index;
	return index != ring->next_avail;
}

int vring_pop(struct vring *ring, bool writable, struct vring_chain *ret_chain, struct iovec *iov,
		uint32_t iov_max)
{
	if (!vring_is_usable(ring)) {
		return 0;
	}
	int available = avail_check(ring);
	if (available <= 0) {
		return available;
	}
	uint16_t head = __atomic_load_n(
			&ring->avail[AVAIL_RING + (ring->next_avail & (ring->size - 1))],
			__ATOMIC_RELAXED);
	if (head >= ring->size) {
		return vring_break(ring, "an available entry names no descriptor");
	}
	struct vring_chain chain = {.head = head};
	int walked = chain_walk(ring, writable, &chain, iov, iov_max);
	if (walked < 0) {
		return walked;
	}
	ring->next_avail++;
	*ret_chain = chain;
	return 1;
}

void vring_unpop(struct vring *ring, uint16_t count)
{
	ring->next_avail = (uint16_t)(ring->next_avail - count);
}

void vring_push(struct vring *ring, uint16_t head, uint32_t written_bytes)
{
	uint32_t place = USED_RING + (ring->next_used & (ring->size - 1)) * 4u;
	struct vring_used_element *element =
			(struct vring_used_element *)(void *)&ring->used[place];
	__atomic_store_n(&element->head, (uint32_t)head, __ATOMIC_RELAXED);
	__atomic_store_n(&element->bytes, written_bytes, __ATOMIC_RELAXED);
	ring->next_used++;
}

void vring_publish(struct vring *ring)
{
	if (ring->used && ring->published != ring->next_used) {
		__atomic_store_n(&ring->used[USED_INDEX], ring->next_used, __ATOMIC_RELEASE);
		ring->published = ring->next_used;
	}
}

/* Used elements published since the last signal. */
static uint16_t vring_unsignalled(const struct vring *ring)
{
	return (uint16_t)(ring->published - ring->signalled);
}

/* Whether the guest wants to hear of the elements after SIGNALLED. */
static bool signal_is_wanted(const struct vring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // the used index is out before its wish is read
	if (!ring->event_idx) {
		uint16_t flags = __atomic_load_n(&ring->avail[AVAIL_FLAGS], __ATOMIC_RELAXED);
		return !(flags & AVAIL_NO_INTERRUPT);
	}
	uint16_t event = __atomic_load_n(&ring->avail[AVAIL_RING + ring->size], __ATOMIC_RELAXED);
	return (uint16_t)(ring->published - event - 1) < vring_unsignalled(ring);
}

void vring_signal_always(struct vring *ring)
{
	ring->signalled = ring->published;
	if (ring->used && ring->call_fd >= 0) {
		uint64_t one = 1;
		/* A full pipe or eventfd has a signal waiting; a closed one has nobody to hear. */
		ssize_t written = write(ring->call_fd, &one, sizeof(one));
		(void)written;
	}
}

void vring_signal(struct vring *ring)
{
	if (!ring->used || vring_unsignalled(ring) == 0) {
		return;
	}
	if (signal_is_wanted(ring)) {
		vring_signal_always(ring);
	}
	ring->signalled = ring->published;
}

bool vring_enable_kicks(struct vring *ring)
{
	ring->wants_kicks = true;
	if (ring->event_idx) {
		uint16_t *event = &ring->used[USED_RING + ring->size * 4u];
		__atomic_store_n(event, ring->next_avail, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&ring->used[USED_FLAGS], 0, __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // the wish is out before the index is read
	return __atomic_load_n(&ring->avail[AVAIL_INDEX], __ATOMIC_RELAXED) != ring->next_avail;
}

void vring_disable_kicks(struct vring *ring)
{
	if (!ring->wants_kicks) {
		return;
	}
	ring->wants_kicks = false;
	if (!ring->event_idx) { // else an event index left behind does it
		__atomic_store_n(&ring->used[USED_FLAGS], USED_NO_NOTIFY, __ATOMIC_RELAXED);
	}
}

int vring_drain_kick(const struct vring *ring)
{
	uint8_t bytes[VRING_KICK_READ];
	ssize_t got = 0;
	/* At most what a pipe holds by default: one that is filled meanwhile wakes the loop again.
	 */
	for (int turns = 0; turns < 1024; turns++) {
		got = read(ring->kick_fd, bytes, sizeof(bytes));
		if (got != (ssize_t)sizeof(bytes)) {
			break;
		}
	}
	return got == 0 ? -EPIPE : 0;
}
