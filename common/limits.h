/*
 * Every resource that a peer or an app can make has its limit here, and every limit has a test that
 * reaches it, is refused, releases and succeeds again. Sizes in bytes unless the name says
 * otherwise. (The bounds of single fields are in proto/bridge.xml.)
 */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

/* Link and session */
#define LIMIT_FRAME          (260u * 1024u) // largest payload of a frame: a cursor of 256 x 256 fits
#define LIMIT_FRAME_WHOLE    (32u * 1024u)  // up to here link_recv hands out the payload whole
#define LIMIT_FRAME_HEAD     4096u // how much of a longer one it hands out; the rest by link_recv_into
#define LIMIT_LINK_QUEUE     (512u * 1024u) // unsent bytes of one link
#define LIMIT_SESSIONS       64u            // connections that one agent serves
#define LIMIT_HELLO_MS       5000u          // a connection without HELLO is closed after this
#define LIMIT_BACKOFF_MIN_MS 100u           // first wait before dialling again
#define LIMIT_BACKOFF_MAX_MS 2000u          // longest wait

/* Log */
#define LIMIT_LOG_PER_SECOND 5u // lines a second for each place that a peer can reach

/* Scheme */
#define LIMIT_HANDLES           65536u // open handles of one scheme
#define LIMIT_HANDLES_PER_PID   1024u
#define LIMIT_PARKED_PER_HANDLE 64u
#define LIMIT_PATH              1024u
#define LIMIT_PAYLOAD           (1024u * 1024u) // of one Call

/* Display bridge */
#define LIMIT_BUFFERS_PER_HANDLE 256u // dumb buffers
#define LIMIT_BUFFER_BYTES       (256u * 1024u * 1024u)
#define LIMIT_BYTES_PER_PID \
	(1024ull * 1024u * 1024u)        // of dumb buffers, by the pid that created them
#define LIMIT_FRAMEBUFFERS          256u // for each handle
#define LIMIT_VTS                   64u  // that have a state
#define LIMIT_DAMAGE_RECTS          16u  // kept apart; more are merged to one box
#define LIMIT_CONNECTORS            16u  // of a topology
#define LIMIT_CRTCS                 16u
#define LIMIT_TOPOLOGIES_PER_SECOND 32u    // more of them are a flood
#define LIMIT_COMMIT_MS             10000u // a commit without an answer: the link is taken for dead

/* Guest agent */
#define LIMIT_CURSOR_PX 256u // width and height of the largest cursor image

/* vsock device */
#define LIMIT_VSOCK_CONNECTIONS 1024u
#define LIMIT_VSOCK_BUFFER \
	(256u * 1024u) // for each direction of one connection: the credit that we grant
#define LIMIT_VSOCK_CONNECT_MS 10000u // a guest that does not answer REQUEST is given up after this
#define LIMIT_VSOCK_CLOSE_MS   8000u  // and one that does not confirm the end of a connection

/* vm-launch */
#define LIMIT_QMP_MESSAGE        (256u * 1024u) // one line from QEMU's monitor
#define LIMIT_CONSOLE_PER_SECOND 100u           // lines of a guest's console that are logged

#endif
