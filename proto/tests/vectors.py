"""One or more messages of every kind, with all their fields set: for golden vectors and the fuzzers' corpus."""

import bridge_wire as wire


def mode(name="1280x800"):
    return wire.Mode(clock=83500, hdisplay=1280, hsync_start=1352, hsync_end=1480, htotal=1680, hskew=1, vdisplay=800,
                     vsync_start=803, vsync_end=809, vtotal=831, vscan=2, vrefresh=60, flags=5, type=0x48, name=name)


MESSAGES = [
    wire.Hello(version=1, role=wire.Role.DISPLAY, epoch=0x0102030405060708, features=0, frame_max=262144,
               name="display-bridge 0.1.0"),
    wire.Error(fault=wire.Fault.VERSION, detail="no common version: 1 and 2"),
    wire.TopologyBegin(generation=1, driver="virtio_gpu", width_min=0, width_max=8192, height_min=0, height_max=4096,
                       cursor_width=64, cursor_height=64, crtcs=2, connectors=1),
    wire.Crtc(index=1, gamma_size=256),
    wire.Connector(index=0, name="Virtual-1", type=15, type_id=1, connection=wire.Connection.CONNECTED, width_mm=520,
                   height_mm=320, subpixel=1, crtcs=3, modes=[mode(), mode("\u00fcmlaut")], edid=bytes(range(16))),
    wire.Connector(index=15, name="", connection=wire.Connection.UNKNOWN),
    wire.TopologyEnd(generation=1),
    wire.Commit(id=7, crtc=0, connectors=[0, 3], modes=[mode()],
                damage=[wire.Rect(0, 0, 1280, 800), wire.Rect(65535, 1, 1, 16384)]),
    wire.Commit(id=8, crtc=15),
    wire.Pixels(crtc=0, tail=bytes.fromhex("00112233 44556677")),
    wire.CommitDone(id=7, crtc=0, result=-22, time_ns=1234567890123456789),
    wire.CursorImage(crtc=0, width=2, height=1, hot_x=-1, hot_y=1, tail=bytes.fromhex("ff0000ff 80808080")),
    wire.CursorMove(crtc=0, visible=1, x=-32768, y=32767),
    wire.Sync(id=9),
    wire.SyncDone(id=9),
]
