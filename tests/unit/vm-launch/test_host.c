/*
 * The trial that decides about KVM: right about a QEMU that runs its guest, and about each way in
 * which one may not.
 */
#include "tests/support/test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm-launch/host.h"

static char reason[HOST_REASON_BYTES];

/* Makes a program that stands in for QEMU. */
static const char *script(const char *text)
{
	static char path[256];
	FILE *file = fopen(test_path(path, sizeof(path), "qemu"), "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fchmod(fileno(file), 0700), 0);
	fclose(file);
	return path;
}

static bool guest_runs(const char *qemu)
{
	reason[0] = '\0';
	bool runs = host_try_guest(qemu, "tcg", "max", test_dir(), reason);
	char path[256];

	assert_int_equal(access(test_path(path, sizeof(path), "guest-trial"), F_OK), -1);
	return runs;
}

/* The guest itself is good: with TCG, which works everywhere, it ends QEMU as it should. */
static void guest_runs_under_tcg(void **state)
{
	(void)state;
	if (!guest_runs("qemu-system-x86_64")) {
		fail_msg("%s", reason);
	}
}

static void good_status_without_a_guest_is_not_believed(void **state)
{
	(void)state;
	assert_false(guest_runs(script("exit 0")));
	assert_string_equal(reason, "QEMU with a guest ended with status 0");
}

static void failures_are_told(void **state)
{
	(void)state;
	assert_false(guest_runs(script("kill -ABRT $$")));
	assert_string_equal(reason, "QEMU with a guest died of signal 6");
	assert_false(guest_runs("/nonexistent/qemu"));
	assert_string_equal(reason, "QEMU with a guest ended with status 127");
	assert_false(host_try_guest("qemu", "tcg", "max", "/nonexistent", reason));
	assert_string_equal(reason, "cannot be tried: No such file or directory");
}

static void hung_guest_is_killed(void **state)
{
	(void)state;
	uint64_t begin_ns = clock_now_ns();

	assert_false(guest_runs(script("exec sleep 1000")));
	assert_string_equal(reason, "a guest hung for 5 s");
	assert_true(clock_now_ns() - begin_ns < 15 * CLOCK_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(guest_runs_under_tcg),
			TEST(good_status_without_a_guest_is_not_believed),
			TEST(failures_are_told),
			TEST(hung_guest_is_killed),
	};

	return test_main("vm-launch-host", tests);
}
