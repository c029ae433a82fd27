/* Finds out by trying. Everything here happens before the loop runs and may block for a moment. */
#include "vm-launch/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"

#define TRIAL_MS   5000
#define TRIAL_EXIT 0x42

/*
 * A kernel in multiboot format, flat: header, then code that writes TRIAL_EXIT to QEMU's debug
 * port, which ends QEMU with (TRIAL_EXIT << 1) | 1.
 */
static const uint8_t trial_kernel[] = {
		0x02, 0xb0, 0xad, 0x1b, // magic
		0x00, 0x00, 0x01, 0x00, // flags: the addresses below are valid
		0xfe, 0x4f, 0x51, 0xe4, // checksum: the three add up to 0
		0x00, 0x00, 0x10, 0x00, // header's address: 1 MiB
		0x00, 0x00, 0x10, 0x00, // load address
		0x00, 0x10, 0x10, 0x00, // end of data
		0x00, 0x10, 0x10, 0x00, // end of bss
		0x20, 0x00, 0x10, 0x00, // entry: behind this header
		0xb0, TRIAL_EXIT,       // mov $TRIAL_EXIT, %al
		0xe6, 0xf4,             // out %al, $0xf4
		0xf4, 0xeb, 0xfd,       // hlt; jmp to it
};

static int write_trial(const char *path)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t page[4096] = {0};

	memcpy(page, trial_kernel, sizeof(trial_kernel));
	if (fd < 0 || write(fd, page, sizeof(page)) != (ssize_t)sizeof(page)) {
		return -errno;
	}
	return 0;
}

/*
 * Runs the trial guest. Returns QEMU's status as of waitpid, or a negative errno; -ETIMEDOUT when
 * it hung.
 */
static int run_trial(const char *qemu, const char *accel, const char *cpu, const char *path)
{
	int life[2];

	if (pipe2(life, O_CLOEXEC) < 0) {
		return -errno;
	}
	auto_close int life_read = life[0];
	auto_close int life_write = life[1];
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setpgid(0, 0);
#ifdef PR_SET_PDEATHSIG
		prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
		fcntl(life_write, F_SETFD, 0); // stays open as long as QEMU lives
		if (getppid() == parent && null >= 0 && dup2(null, 0) >= 0 && dup2(null, 1) >= 0 &&
				dup2(null, 2) >= 0) {
			execlp(qemu, qemu, "-no-user-config", "-nodefaults", "-no-reboot",
					"-display", "none", "-machine", "q35", "-accel", accel,
					"-cpu", cpu, "-m", "16M", "-device",
					"isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", path,
					(char *)NULL);
		}
		_exit(127);
	}
	if (pid < 0) {
		return -errno;
	}
	fd_close(&life_write);
	struct pollfd ended = {.fd = life_read, .events = POLLIN};
	int polled;

	do {
		polled = poll(&ended, 1, TRIAL_MS);
	} while (polled < 0 && errno == EINTR);
	if (polled <= 0) {
		kill(pid, SIGKILL);
	}
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return polled > 0 ? status : -ETIMEDOUT;
}

bool host_try_guest(const char *qemu, const char *accel, const char *cpu, const char *folder,
		char reason[HOST_REASON_BYTES])
{
	char path[512];
	int length = snprintf(path, sizeof(path), "%s/guest-trial", folder);
	int status = length > 0 && (size_t)length < sizeof(path) ? write_trial(path)
								 : -ENAMETOOLONG;

	if (status == 0) {
		status = run_trial(qemu, accel, cpu, path);
		unlink(path);
	}
	if (status == -ETIMEDOUT) {
		snprintf(reason, HOST_REASON_BYTES, "a guest hung for %d s", TRIAL_MS / 1000);
	} else if (status < 0) {
		snprintf(reason, HOST_REASON_BYTES, "cannot be tried: %s", strerror(-status));
	} else if (WIFSIGNALED(status)) {
		snprintf(reason, HOST_REASON_BYTES, "QEMU with a guest died of signal %d",
				WTERMSIG(status));
	} else if (WEXITSTATUS(status) != (TRIAL_EXIT << 1 | 1)) {
		snprintf(reason, HOST_REASON_BYTES, "QEMU with a guest ended with status %d",
				WEXITSTATUS(status));
	} else {
		return true;
	}
	return false;
}

bool host_has_kvm(const char *qemu, const char *folder, char reason[HOST_REASON_BYTES])
{
	auto_close int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		snprintf(reason, HOST_REASON_BYTES, "/dev/kvm: %s", strerror(errno));
		return false;
	}
	return host_try_guest(qemu, "kvm", "host", folder, reason);
}

bool host_has_vsock(void)
{
	auto_close int fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);

	return fd >= 0;
}
