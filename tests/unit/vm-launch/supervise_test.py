"""vm-launch as a program, with processes that stand in for QEMU, the vsock device and the bridge: start, stop, every way to fail, and
that nothing is left behind.

usage: supervise_test.py VM_LAUNCH SUPPORT_FOLDER
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

VM_LAUNCH = Path(sys.argv[1]).resolve()
sys.path.insert(0, sys.argv[2])
sys.argv = sys.argv[:1]
FAKE = Path(__file__).resolve().with_name("fake_part.py")

import tap  # noqa: E402

CONFIGURATION = f"""[vm gpu]
accel = tcg
qemu = {FAKE}
kernel = /etc/passwd
initrd = /etc/passwd
stop_timeout = 1

[vsock]
backend = device
program = {FAKE}

[bridge display]
program = {FAKE}
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie whose parent has not looked yet is no longer running.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(condition, what, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(0.01)


class Launch(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="vml-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.runtime = self.folder / "run"
        self.config = self.folder / "test.ini"
        self.config.write_text(CONFIGURATION, encoding="utf-8")
        self.notes_path = self.folder / "notes"
        self.notes_path.touch()
        self.environment = {name: value for name, value in os.environ.items() if name not in ("REDOX_HOSTED_DIR", "LOG")}
        self.environment["NOTES"] = str(self.notes_path)
        self.process = None
        self.ready = None
        self.addCleanup(self.end)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        for pid in self.pids():  # what a failed test has left
            if alive(pid) and FAKE.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.communicate(timeout=20)
        if self.ready is not None:
            os.close(self.ready)

    def start(self, **behaviours):
        for role, behaviour in behaviours.items():
            self.environment[f"BEHAVIOUR_{role.upper()}"] = behaviour
        self.ready, writer = os.pipe()
        self.process = subprocess.Popen(
            [VM_LAUNCH, "run", "--runtime-dir", self.runtime, "--ready-fd", str(writer), self.config], pass_fds=[writer],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        os.close(writer)

    def wait_ready(self):
        self.assertEqual(os.read(self.ready, 10), b"\n")
        self.assertEqual(os.read(self.ready, 10), b"", "closed after the newline")

    def finish(self, timeout_s=30):
        """Waits for the end; returns status and stderr, and checks that nothing is left."""
        output, errors = self.process.communicate(timeout=timeout_s)
        self.output = output
        self.check_nothing_left()
        return self.process.returncode, errors

    def notes(self):
        return self.notes_path.read_text(encoding="utf-8").splitlines()

    def pids(self):
        return [int(line.split()[2]) for line in self.notes() if line.split()[1] == "started"]

    def check_nothing_left(self):
        for pid in self.pids():
            self.assertFalse(alive(pid), f"process {pid} is left")
        self.assertFalse(self.runtime.exists(), "the runtime directory is left")

    def error_lines(self, errors):
        return [line for line in errors.splitlines() if " error " in line]

    def check_failure(self, text, status=1):
        """It ended by itself with exactly one error line, which has TEXT."""
        code, errors = self.finish()
        self.assertEqual(code, status, errors)
        lines = self.error_lines(errors)
        self.assertEqual(len(lines), 1, errors)
        self.assertIn(text, lines[0])


class Good(Launch):
    def test_starts_in_order_and_stops_in_reverse(self):
        self.start()
        self.wait_ready()
        started = [line.split()[0] for line in self.notes() if "started" in line]
        self.assertEqual(started, ["vsock", "qemu", "bridge"])
        self.assertEqual(stat.S_IMODE(self.runtime.stat().st_mode), 0o700)
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertEqual(status, 0, errors)
        self.assertEqual(self.error_lines(errors), [])
        self.assertEqual(self.notes()[-3:], ["bridge SIGTERM", "qemu system_powerdown", "vsock SIGTERM"])

    def test_hosted_directory_is_made_and_printed(self):
        self.start()
        self.wait_ready()
        self.assertTrue((self.runtime / "redox").is_dir())
        self.assertIn(f"bridge redox {self.runtime}/redox", self.notes())
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish()[0], 0)
        self.assertEqual(self.output, f"REDOX_HOSTED_DIR={self.runtime}/redox\n")

    def test_hosted_directory_that_is_set_is_kept(self):
        self.environment["REDOX_HOSTED_DIR"] = "/elsewhere"
        self.start()
        self.wait_ready()
        self.assertIn("bridge redox /elsewhere", self.notes())
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)
        self.assertEqual(self.output, "")

    def test_console_is_logged_without_control_characters(self):
        self.start()
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        errors = self.finish()[1]
        self.assertIn("vm gpu: boot: hello?[31m from the guest", errors)

    def test_console_flood_is_bounded(self):
        """LIMIT_CONSOLE_PER_SECOND: the rest is counted, and a second later lines are logged again."""
        self.start(qemu="floods")
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        errors = self.finish()[1]
        lines = errors.count("flood ")
        self.assertGreaterEqual(lines, 99)  # and the line before the flood
        self.assertLess(lines, 500)
        left_out = sum(int(line.split(": ")[2].split()[0]) for line in errors.splitlines() if "console lines left out" in line)
        self.assertEqual(lines + left_out, 5000)
        self.assertIn("vm gpu: after", errors, "lines are logged again")

    def test_children_have_their_own_groups_and_few_descriptors(self):
        self.start()
        self.wait_ready()
        for pid in self.pids():
            self.assertEqual(os.getpgid(pid), pid)
            targets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in ("0",)}
            self.assertEqual(targets, {"/dev/null"})
            held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            self.assertFalse([path for path in held if "vm-launch.lock" in path or "eventpoll" in path], held)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)


class Failures(Launch):
    def test_vm_dies(self):
        self.start(qemu="dies")
        self.check_failure("vm gpu ended with status 7; everything is stopped")

    def test_vm_crashes(self):
        self.start(qemu="crashes")
        self.check_failure("vm gpu was killed by signal 11")

    def test_vm_powers_itself_off(self):
        self.start(qemu="powers-off")
        self.check_failure("vm gpu powered itself off; everything is stopped")

    def test_vm_fails_at_once(self):
        self.start(qemu="fails")
        self.check_failure("vm gpu ended with status 3")

    def test_monitor_says_garbage(self):
        self.start(qemu="garbage")
        self.check_failure("vm gpu: QEMU's monitor: a line that is no JSON object")

    def test_vsock_device_dies(self):
        self.start(vsock="dies")
        self.check_failure("vsock of gpu ended with status 4")

    def test_bridge_dies_after_ready(self):
        self.start(bridge="dies")
        self.wait_ready()
        self.check_failure("bridge display ended with status 4")

    def test_bridge_is_killed(self):
        self.start()
        self.wait_ready()
        os.kill(self.pids()[2], signal.SIGKILL)
        self.check_failure("bridge display was killed by signal 9")
        self.assertEqual(self.notes()[-2:], ["qemu system_powerdown", "vsock SIGTERM"])

    def test_program_is_missing(self):
        self.config.write_text(CONFIGURATION.replace(f"[bridge display]\nprogram = {FAKE}", "[bridge display]\nprogram = none"),
                               encoding="utf-8")
        self.start()
        self.check_failure(f"bridge display: cannot start {self.folder}/none: No such file or directory; everything is stopped")

    def test_image_is_missing(self):
        self.config.write_text(CONFIGURATION.replace("kernel = /etc/passwd", "kernel = none"), encoding="utf-8")
        self.start()
        status, errors = self.finish()
        self.assertEqual(status, 1)
        self.assertEqual(errors, f"vm-launch: vm gpu: {self.folder}/none: No such file or directory; "
                                 "build an image first: vm-launch image CONFIG\n")
        self.assertEqual(self.notes(), [])


class Stubborn(Launch):
    def test_guest_that_ignores_the_power_button(self):
        self.start(qemu="no-powerdown")
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertEqual(status, 0, errors)
        self.assertIn("vm gpu does not power off; QEMU is told to quit", errors)
        self.assertIn("qemu quit", self.notes())

    def test_qemu_that_does_not_answer(self):
        self.start(qemu="hangs")
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertEqual(status, 0, errors)
        self.assertIn("vm gpu does not end; it is killed", errors)

    def test_qemu_that_ignores_everything(self):
        self.start(qemu="ignores")
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertEqual(status, 0, errors)
        self.assertIn("vm gpu does not end; it is killed", errors)

    def test_second_signal_kills_at_once(self):
        self.start(bridge="ignores", vsock="ignores", qemu="ignores")
        self.wait_ready()
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "bridge SIGTERM" in self.notes(), "the first signal")
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(status, 1, errors)

    def test_stop_while_qemu_never_listens(self):
        self.start(qemu="never-listens")
        wait_until(lambda: len(self.pids()) == 2, "QEMU")
        self.process.send_signal(signal.SIGTERM)
        status, errors = self.finish()
        self.assertEqual(status, 0, errors)
        self.assertIn("qemu SIGTERM", self.notes())

    def test_stop_while_the_monitor_is_silent(self):
        self.start(qemu="silent")
        wait_until(lambda: len(self.pids()) == 2, "QEMU")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)

    def test_stop_at_any_moment(self):
        """SIGTERM as soon as the runtime directory is there, and later."""
        for attempt in range(15):
            self.notes_path.write_text("", encoding="utf-8")
            self.start()
            wait_until(self.runtime.exists, "the runtime directory")
            time.sleep(attempt * 0.01)
            self.process.send_signal(signal.SIGTERM)
            status, errors = self.finish()
            self.assertEqual(status, 0, errors)
            self.assertEqual(self.error_lines(errors), [])
            os.close(self.ready)
            self.ready = None

    def test_stop_before_the_bridge_is_ready(self):
        self.start(bridge="unready")
        wait_until(lambda: len(self.pids()) == 3, "the bridge")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)
        self.assertEqual(os.read(self.ready, 10), b"", "never said to be ready")


class Killed(Launch):
    def test_nothing_survives_a_killed_vm_launch(self):
        self.start()
        self.wait_ready()
        pids = self.pids()
        self.assertEqual(len(pids), 3)
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), "the end of all processes")

    def test_nothing_survives_at_any_moment(self):
        """Killed 0 to 190 ms after the start: between fork and exec, too."""
        for attempt in range(20):
            self.notes_path.write_text("", encoding="utf-8")
            self.start()
            time.sleep(attempt * 0.01)
            self.process.kill()
            self.process.communicate(timeout=20)
            os.close(self.ready)
            self.ready = None
            environment = f"NOTES={self.notes_path}".encode()
            wait_until(lambda: not self.having(environment), "the end of all processes")

    def having(self, variable):
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) != os.getpid() and variable in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                pass
        return found

    def test_the_next_one_cleans_up(self):
        self.start()
        self.wait_ready()
        self.process.kill()
        self.process.communicate(timeout=20)
        os.close(self.ready)
        self.assertTrue(self.runtime.exists())
        self.start()
        self.wait_ready()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)


class RuntimeDirectory(Launch):
    def second(self, *arguments):
        return subprocess.run([VM_LAUNCH, "run", *arguments, self.config], env=self.environment, capture_output=True, text=True,
                              timeout=20, check=False)

    def test_second_instance_is_refused(self):
        self.start()
        self.wait_ready()
        before = self.notes()
        result = self.second("--runtime-dir", self.runtime)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"vm-launch: {self.runtime} is in use by another vm-launch; stop that one, "
                                        "or choose another --runtime-dir\n")
        self.assertEqual(self.notes(), before)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish()[0], 0)

    def test_foreign_directory_is_left_alone(self):
        self.runtime.mkdir(mode=0o700)
        (self.runtime / "precious").touch()
        result = self.second("--runtime-dir", self.runtime)
        self.assertEqual(result.returncode, 1)
        self.assertIn("has other things in it", result.stderr)
        self.assertTrue((self.runtime / "precious").exists())

    def test_directory_that_others_can_write_is_refused(self):
        self.runtime.mkdir()
        self.runtime.chmod(0o777)
        result = self.second("--runtime-dir", self.runtime)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is not a directory that only you can write to", result.stderr)

    def test_long_path_is_refused(self):
        result = self.second("--runtime-dir", "/tmp/" + "x" * 90)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is too long for sockets in it", result.stderr)

    def test_default_is_named_after_the_configuration(self):
        self.environment["XDG_RUNTIME_DIR"] = str(self.folder)
        result = subprocess.run([VM_LAUNCH, "print", self.config], env=self.environment, capture_output=True, text=True, timeout=20,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"--socket {self.folder}/vm-launch-test/vm0.vsock ", result.stdout)
        self.assertFalse((self.folder / "vm-launch-test").exists(), "print makes nothing")
        self.assertEqual(self.notes(), [], "print starts nothing")


class CommandLine(Launch):
    def call(self, *arguments):
        return subprocess.run([VM_LAUNCH, *arguments], env=self.environment, capture_output=True, text=True, timeout=20, check=False)

    def test_help_lists_what_there_is_on_one_screen(self):
        result = self.call("--help")
        self.assertEqual(result.returncode, 0)
        self.assertLess(result.stdout.count("\n"), 25)
        for word in ("run", "print", "image"):
            self.assertIn(f"\n  {word} ", result.stdout)

    def test_version(self):
        self.assertRegex(self.call("--version").stdout, r"^vm-launch \d+\.\d+")

    def test_wrong_usage_is_one_line(self):
        cases = {
            (): "no command given",
            ("run",): "no configuration given to run",
            ("check", str(self.config)): "unknown command check",
            ("run", "--colour", str(self.config)): "unknown option --colour",
            ("run", str(self.config), "more"): "unexpected argument more",
            ("run", str(self.config), "--runtime-dir"): "a value is missing behind --runtime-dir",
            ("run", "--ready-fd", "99", str(self.config)): "--ready-fd: no open descriptor 99",
            ("run", "--ready-fd", "x", str(self.config)): "--ready-fd: no open descriptor x",
        }
        for arguments, text in cases.items():
            result = self.call(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stderr, f"vm-launch: {text}; see vm-launch --help\n")
            self.assertEqual(result.stdout, "")

    def test_fault_in_the_configuration_is_one_line(self):
        self.config.write_text("[vm gpu]\ncolour = red\n", encoding="utf-8")
        for command in ("run", "print", "image"):
            result = self.call(command, str(self.config))
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stderr, f"vm-launch: {self.config}:2: unknown key 'colour' in [vm gpu]\n")


if __name__ == "__main__":
    tap.main()
