/*
 * Who waits for what. The kernel keeps the subscriptions; a handle knows their union, and a notice
 * is sent only when somebody waits for it, once in a batch of answers.
 */
#include "schemes/scheme/dispatch.h"

#define EVENT_ALL (SCHEME_EVENT_READ | SCHEME_EVENT_WRITE)

int64_t event_watch(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	handle->event_mask = (uint32_t)sqe->args[SCHEME_ARG_FEVENT_MASK] & EVENT_ALL;
	if (!scheme->ops->fevent) {
		return 0;
	}
	uint32_t ready = scheme->ops->fevent(scheme->data, handle->data, handle->event_mask);
	return ready & handle->event_mask;
}

static void event_notify_handle(struct scheme *scheme, struct handle *handle, uint32_t events)
{
	if (handle->queued_batch != scheme->replies.batch) {
		handle->queued_batch = scheme->replies.batch;
		handle->queued_events = 0;
	}
	events &= handle->event_mask & ~handle->queued_events;
	if (!events) {
		return;
	}
	reply_push(&scheme->replies,
			&(struct scheme_cqe) {.opcode = SCHEME_CQE_SEND_FEVENT,
					.tag = events,
					.result = handle->id});
	/* The push may have written the batch, this notice with it or not: it is asked anew then.
	 */
	if (handle->queued_batch == scheme->replies.batch) {
		handle->queued_events |= events;
	}
}

void scheme_notify(struct scheme *scheme, const void *daemon_handle, uint32_t events)
{
	struct handle *handle = NULL;

	while ((handle = handle_next_of(&scheme->handles, daemon_handle, handle))) {
		event_notify_handle(scheme, handle, events);
	}
}
