/*
 * The life of all processes of one configuration.
 *
 *	starting (stage by stage) ──all ready──► running
 *	either ──signal, or a part ended──► stopping (stage by stage, backwards) ──► done
 *
 * A part: waiting ──► starting ──► ready ──► stopping ──► gone. The invariant: a part of stage N is
 * started only while every part of the stages before is ready, and asked to stop only after every
 * part of the stages behind is gone.
 */
#include "vm-launch/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"
#include "vm-launch/child.h"
#include "vm-launch/qmp.h"

#define QMP_RETRY_MS   20u
#define QMP_TIMEOUT_MS 20000u
#define QUIT_MS        3000u // between QMP's quit, or SIGTERM for one that ignored it, and SIGKILL

enum part_state { PART_WAITING, PART_STARTING, PART_READY, PART_STOPPING, PART_GONE };

struct supervisor;

struct part {
	struct supervisor *supervisor;
	const struct plan_part *plan;
	enum part_state state;
	struct child *child;       // NULL before and after its life
	struct qmp *qmp;           // of a VM, once connected
	struct loop_source *timer; // readiness while starting, patience while stopping
	struct loop_source *retry; // for connecting to QMP
	int urgency;               // of stopping: 0 asked, 1 told, 2 killed
	uint64_t window_start_ns;  // of the guest's console
	uint32_t window_lines;
};

struct supervisor {
	const struct supervise_config *config;
	struct loop *loop;
	struct part parts[PLAN_PARTS];
	size_t part_count;
	bool stopping;
	int status;
	int ready_fd;
	struct loop_source *signals[3];
};

static void advance(struct supervisor *supervisor);

static bool all_of_stage(
		const struct supervisor *supervisor, enum plan_stage stage, enum part_state state)
{
	for (size_t i = 0; i < supervisor->part_count; i++) {
		if (supervisor->parts[i].plan->stage == stage &&
				supervisor->parts[i].state != state) {
			return false;
		}
	}
	return true;
}

/* Begins to stop everything; REASON was logged. */
static void stop_all(struct supervisor *supervisor, int status)
{
	if (supervisor->stopping) {
		return;
	}
	supervisor->stopping = true;
	supervisor->status = status;
	for (size_t i = 0; i < supervisor->part_count; i++) {
		if (supervisor->parts[i].state == PART_WAITING) {
			supervisor->parts[i].state = PART_GONE;
		}
	}
	advance(supervisor);
}

static void part_fail(struct part *part, const char *reason)
{
	if (!part->supervisor->stopping) {
		log_error(LOG_VM, "%s %s; everything is stopped", part->plan->title, reason);
	}
	stop_all(part->supervisor, 1);
}

static void part_ready(void *data)
{
	struct part *part = data;

	if (part->state != PART_STARTING) {
		return;
	}
	part->state = PART_READY;
	loop_timer_arm(part->timer, 0);
	log_debug(LOG_VM, "%s is ready", part->plan->title);
	advance(part->supervisor);
}

static void on_qmp_event(void *data, const char *name, struct json_object *values)
{
	const struct part *part = data;

	(void)values;
	log_debug(LOG_VM, "%s: event %s", part->plan->title, name);
}

static void on_qmp_closed(void *data, int error, const char *reason)
{
	struct part *part = data;

	qmp_destroy(part->qmp);
	part->qmp = NULL;
	if (part->state == PART_STOPPING || error == 0) {
		return; // the end of the process says more
	}
	log_error(LOG_VM, "%s: QEMU's monitor: %s; everything is stopped", part->plan->title,
			reason);
	stop_all(part->supervisor, 1);
}

static const struct qmp_ops qmp_ops = {
		.ready = part_ready, .event = on_qmp_event, .closed = on_qmp_closed};

/* Connects to the monitor as soon as QEMU listens. */
static void on_retry(void *data)
{
	struct part *part = data;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (part->state != PART_STARTING) {
		return;
	}
	memcpy(address.sun_path, part->plan->qmp,
			strnlen(part->plan->qmp, sizeof(address.sun_path) - 1));
	if (fd < 0) {
		part_fail(part, "has no socket for its monitor");
	} else if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		if (qmp_create(part->supervisor->loop, fd_take(&fd), QMP_TIMEOUT_MS, &qmp_ops, part,
				    &part->qmp) < 0) {
			part_fail(part, "has no monitor for lack of memory");
		}
	} else {
		loop_timer_arm(part->retry, clock_now_ns() + QMP_RETRY_MS * CLOCK_NS_PER_MS);
	}
}

/*
 * The guest writes what it wants to its console: so many lines a second are logged, the others
 * counted.
 */
static void on_console_line(void *data, const char *text)
{
	struct part *part = data;
	uint64_t now_ns = clock_now_ns();

	if (now_ns - part->window_start_ns >= CLOCK_NS_PER_S) {
		if (part->window_lines > LIMIT_CONSOLE_PER_SECOND) {
			log_warn(LOG_VM, "%s: %u console lines left out", part->plan->title,
					part->window_lines - LIMIT_CONSOLE_PER_SECOND);
		}
		part->window_start_ns = now_ns;
		part->window_lines = 0;
	}
	if (part->window_lines++ < LIMIT_CONSOLE_PER_SECOND) {
		log_info(LOG_VM, "%s: %s", part->plan->title, text);
	}
}

static const struct child_ops plain_ops = {.ready = part_ready};
static const struct child_ops vm_ops = {.line = on_console_line};

static void part_start(struct part *part)
{
	struct supervisor *supervisor = part->supervisor;
	const struct plan_part *plan = part->plan;
	bool is_vm = plan->stage == STAGE_VM;
	const char *variable =
			plan->stage == STAGE_BRIDGE ? supervisor->config->plan->variable : NULL;
	int error = child_start(supervisor->loop, plan->argv.items, variable, !is_vm,
			is_vm ? &vm_ops : &plain_ops, part, &part->child);

	if (error) {
		part->state = PART_GONE;
		log_error(LOG_VM, "%s: cannot start %s: %s; everything is stopped", plan->title,
				plan->argv.items[0], strerror(-error));
		stop_all(supervisor, 1);
		return;
	}
	part->state = PART_STARTING;
	loop_timer_arm(part->timer,
			clock_now_ns() + supervisor->config->ready_timeout_ms * CLOCK_NS_PER_MS);
	log_debug(LOG_VM, "%s is process %d", plan->title, (int)child_pid(part->child));
	if (is_vm) {
		on_retry(part);
	}
}

/* One step more urgent: asked, told, killed. */
static void part_stop(struct part *part)
{
	uint32_t patience_ms = part->supervisor->config->stop_timeout_ms;
	int urgency = part->urgency++;

	if (urgency == 0 && part->qmp &&
			qmp_execute(part->qmp, "system_powerdown", NULL, NULL, NULL) == 0) {
		patience_ms = part->plan->vm->stop_timeout_s * 1000;
	} else if (urgency == 1 && part->qmp &&
			qmp_execute(part->qmp, "quit", NULL, NULL, NULL) == 0) {
		log_warn(LOG_VM, "%s does not power off; QEMU is told to quit", part->plan->title);
		patience_ms = QUIT_MS;
	} else if (urgency == 0) {
		child_signal(part->child, SIGTERM);
	} else {
		log_warn(LOG_VM, "%s does not end; it is killed", part->plan->title);
		child_signal(part->child, SIGKILL);
	}
	part->state = PART_STOPPING;
	loop_timer_arm(part->timer, clock_now_ns() + patience_ms * CLOCK_NS_PER_MS);
}

static void on_timer(void *data)
{
	struct part *part = data;

	if (part->state == PART_STARTING) {
		log_error(LOG_VM, "%s was not ready within %u ms; everything is stopped",
				part->plan->title, part->supervisor->config->ready_timeout_ms);
		stop_all(part->supervisor, 1);
	} else if (part->state == PART_STOPPING) {
		part_stop(part);
	}
}

static void announce(struct supervisor *supervisor)
{
	if (supervisor->ready_fd >= 0 && fd_tell(fd_take(&supervisor->ready_fd), '\n') < 0) {
		log_warn(LOG_VM, "nobody waits on --ready-fd any more");
	}
	log_info(LOG_VM, "everything is ready");
	if (supervisor->config->all_ready) {
		supervisor->config->all_ready(supervisor->config->data);
	}
}

static void advance_start(struct supervisor *supervisor)
{
	bool before_ready = true;

	for (int stage = 0; stage < STAGES && before_ready; stage++) {
		for (size_t i = 0; i < supervisor->part_count && !supervisor->stopping; i++) {
			struct part *part = &supervisor->parts[i];

			if (part->plan->stage == (enum plan_stage)stage &&
					part->state == PART_WAITING) {
				part_start(part);
			}
		}
		before_ready = all_of_stage(supervisor, (enum plan_stage)stage, PART_READY);
	}
	if (before_ready && !supervisor->stopping) {
		announce(supervisor);
	}
}

static void advance_stop(struct supervisor *supervisor)
{
	bool behind_gone = true;

	for (int stage = STAGES - 1; stage >= 0 && behind_gone; stage--) {
		for (size_t i = 0; i < supervisor->part_count; i++) {
			struct part *part = &supervisor->parts[i];

			if (part->plan->stage == (enum plan_stage)stage &&
					(part->state == PART_STARTING ||
							part->state == PART_READY)) {
				part_stop(part);
			}
		}
		behind_gone = all_of_stage(supervisor, (enum plan_stage)stage, PART_GONE);
	}
	if (behind_gone) {
		loop_stop(supervisor->loop, supervisor->status);
	}
}

/* Starts or stops whatever is due now. */
static void advance(struct supervisor *supervisor)
{
	if (supervisor->stopping) {
		advance_stop(supervisor);
	} else {
		advance_start(supervisor);
	}
}

/* First thing in the loop; signals that were held back until now arrive. */
static void on_begin(void *data)
{
	sigset_t none;

	advance(data);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void part_ended(struct part *part, int status)
{
	const char *title = part->plan->title;
	bool expected = part->state == PART_STOPPING || part->supervisor->stopping;

	part->state = PART_GONE;
	loop_timer_arm(part->timer, 0);
	loop_timer_arm(part->retry, 0);
	qmp_destroy(part->qmp);
	part->qmp = NULL;
	child_destroy(part->child);
	part->child = NULL;
	if (!expected && WIFSIGNALED(status)) {
		log_error(LOG_VM, "%s was killed by signal %d (%s); everything is stopped", title,
				WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else if (!expected && part->plan->stage == STAGE_VM && WEXITSTATUS(status) == 0) {
		log_error(LOG_VM, "%s powered itself off; everything is stopped", title);
	} else if (!expected) {
		log_error(LOG_VM, "%s ended with status %d; everything is stopped", title,
				WEXITSTATUS(status));
	}
	if (part->supervisor->stopping) {
		advance(part->supervisor);
	} else {
		stop_all(part->supervisor, 1);
	}
}

static void on_child(void *data)
{
	struct supervisor *supervisor = data;

	for (size_t i = 0; i < supervisor->part_count; i++) {
		int status;

		if (supervisor->parts[i].child && child_reap(supervisor->parts[i].child, &status)) {
			part_ended(&supervisor->parts[i], status);
		}
	}
}

static void on_stop_signal(void *data)
{
	struct supervisor *supervisor = data;

	if (!supervisor->stopping) {
		log_info(LOG_VM, "told to stop");
		stop_all(supervisor, 0);
		return;
	}
	log_warn(LOG_VM, "told to stop again: what is left is killed");
	supervisor->status = 1;
	for (size_t i = 0; i < supervisor->part_count; i++) {
		if (supervisor->parts[i].child) {
			child_signal(supervisor->parts[i].child, SIGKILL);
		}
	}
}

static int supervisor_init(struct supervisor *supervisor, const struct supervise_config *config)
{
	const struct plan *plan = config->plan;
	int error = loop_create(&supervisor->loop);

	supervisor->config = config;
	supervisor->ready_fd = config->ready_fd;
	supervisor->part_count = plan->part_count;
	if (!error) {
		error = loop_add_signal(supervisor->loop, SIGTERM, on_stop_signal, supervisor,
				&supervisor->signals[0]);
	}
	if (!error) {
		error = loop_add_signal(supervisor->loop, SIGINT, on_stop_signal, supervisor,
				&supervisor->signals[1]);
	}
	if (!error) {
		error = loop_add_signal(supervisor->loop, SIGCHLD, on_child, supervisor,
				&supervisor->signals[2]);
	}
	for (size_t i = 0; i < plan->part_count; i++) {
		struct part *part = &supervisor->parts[i];

		part->supervisor = supervisor;
		part->plan = &plan->parts[i];
		if (!error) {
			error = loop_add_timer(supervisor->loop, on_timer, part, &part->timer);
		}
		if (!error) {
			error = loop_add_timer(supervisor->loop, on_retry, part, &part->retry);
		}
	}
	return error;
}

static void supervisor_finish(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->part_count; i++) {
		qmp_destroy(supervisor->parts[i].qmp);
		child_destroy(supervisor->parts[i].child);
	}
	fd_close(&supervisor->ready_fd);
	loop_destroy(supervisor->loop);
}

int supervise_run(const struct supervise_config *config)
{
	struct supervisor supervisor = {.ready_fd = -1};
	struct loop_source *begin;
	int status = supervisor_init(&supervisor, config);

	if (status == 0) {
		status = loop_add_idle(supervisor.loop, on_begin, &supervisor, &begin);
	}
	if (status == 0) {
		status = loop_run(supervisor.loop);
	}
	supervisor_finish(&supervisor);
	return status;
}
