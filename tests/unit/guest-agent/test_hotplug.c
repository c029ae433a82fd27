/* Which events of the kernel count. */
#include "tests/support/test.h"

#include "guest-agent/hotplug.h"

#define EVENT(text) (text), sizeof(text) - 1

static void only_drm_hotplug_counts(void **state)
{
	(void)state;
	assert_true(hotplug_event_matters(EVENT("change@/devices/pci/drm/card0\0ACTION=change\0"
						"HOTPLUG=1\0SUBSYSTEM=drm\0")));
	assert_true(hotplug_event_matters(EVENT("x\0SUBSYSTEM=drm\0HOTPLUG=1")));
	assert_false(hotplug_event_matters(EVENT("x\0SUBSYSTEM=drm\0LEASE=1\0")));
	assert_false(hotplug_event_matters(EVENT("x\0SUBSYSTEM=usb\0HOTPLUG=1\0")));
	assert_false(hotplug_event_matters(EVENT("x\0SUBSYSTEM=drm2\0HOTPLUG=1\0")));
	assert_false(hotplug_event_matters(EVENT("SUBSYSTEM=dr")));
	assert_false(hotplug_event_matters("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(only_drm_hotplug_counts)};
	return test_main("hotplug", tests);
}
