"""vm-launch with the real QEMU, guest and bridge: each way in which a machine ends, and that nothing is left.

usage: vm_test.py BUILD_FOLDER SUPPORT_FOLDER
"""

import os
import signal
import sys
import time
import unittest
from pathlib import Path

BUILD = Path(sys.argv[1]).resolve()
sys.path.insert(0, sys.argv[2])
sys.argv = sys.argv[:1]

import tap  # noqa: E402
from machine import Machine, configuration, make_image  # noqa: E402


def setUpModule():
    make_image(BUILD)


def children(pid):
    """Process numbers by the name of the program."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        found[Path(os.readlink(f"/proc/{child}/exe")).name] = int(child)
    return found


class RealMachine(unittest.TestCase):
    def boot(self):
        machine = Machine(BUILD, configuration("bochs"))
        machine.__enter__()
        self.addCleanup(machine.stop)
        self.assertEqual(set(children(machine.process.pid)), {"qemu-system-x86_64", "vsock-device", "display-bridge"})
        return machine, children(machine.process.pid)

    def check_gone(self, machine, pids):
        end = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids.values()) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual([name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()], [])
        self.assertIn(machine.process.returncode, (0, 1, -signal.SIGKILL))

    def check_failure(self, machine, pids, text):
        self.assertEqual(machine.process.wait(40), 1, machine.log())
        self.check_gone(machine, pids)
        errors = [line for line in machine.log().splitlines() if "vm-launch[" in line and " error " in line]
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(text, errors[0])
        self.assertFalse(machine.runtime.exists())

    def test_agent_comes_back_and_the_power_button_works(self):
        machine, pids = self.boot()
        machine.shell("killall -9 guest-agent")
        machine.wait_log("guest-agent ended with status 137; it is started again")
        machine.wait_log(" is there", count=2)
        self.assertEqual(children(machine.process.pid), pids, "nothing else was restarted")
        begin = time.monotonic()
        self.assertEqual(machine.stop(), 0, machine.log())
        self.assertLess(time.monotonic() - begin, 9, "the guest was not asked in vain")
        self.assertIn("power button: powering off", machine.log())
        self.check_gone(machine, pids)
        self.assertFalse(machine.runtime.exists())

    def test_guest_that_powers_off(self):
        machine, pids = self.boot()
        machine.shell("poweroff -f")
        self.check_failure(machine, pids, "vm gpu powered itself off; everything is stopped")

    def test_guest_that_panics(self):
        machine, pids = self.boot()
        machine.shell("echo c >/proc/sysrq-trigger")
        self.check_failure(machine, pids, "vm gpu powered itself off; everything is stopped")

    def test_qemu_that_is_killed(self):
        machine, pids = self.boot()
        os.kill(pids["qemu-system-x86_64"], signal.SIGKILL)
        self.check_failure(machine, pids, "vm gpu was killed by signal 9")

    def test_vsock_device_that_is_killed(self):
        machine, pids = self.boot()
        os.kill(pids["vsock-device"], signal.SIGKILL)
        self.check_failure(machine, pids, "vsock of gpu was killed by signal 9")

    def test_vm_launch_that_is_killed(self):
        machine, pids = self.boot()
        machine.process.kill()
        machine.process.wait(10)
        self.check_gone(machine, pids)


if __name__ == "__main__":
    tap.main()
