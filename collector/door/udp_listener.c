#include "collector/door/udp_listener.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "collector/door/door_private.h"
#include "collector/door/udp_batch.h"
#include "collector/door/udp_source.h"
#include "collector/protocol/protocol.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/transport/transport_listener.h"

#define TURN       1024u /* datagrams before the others' turn */
#define NAP_NS     NS_PER_MS
#define STUCK_NS   (5 * NS_PER_MS) /* between two looks for room in the intake */
#define FRAME_MOST (64u << 10)     /* datagrams of one source share a frame */

struct udp_listener {
	struct listener *listener;
	struct loop_watch watch;
	struct loop_timer timer; /* the end of a nap or of a wait for room */
	bool is_watched;
	uint64_t woken_ns;
	const struct transport_listener *place;

	struct udp_batch *batch;
	unsigned at, received; /* of the batch: passed on; in it */
	struct udp_sources *sources;
	struct udp_source *last; /* who sent the datagram before */
	bool is_unjudged;        /* sources, by the roster as it is now */
	struct udp_listener_counts counts;
	uint32_t dropped; /* the kernel's count when it was asked last */
};

static const struct udp_listener_settings *
settings(const struct udp_listener *d)
{
	return &d->listener->settings.udp;
}

/* The kernel's buffer and what it dropped. */

/* The counter that SO_RXQ_OVFL sends along with datagrams; asked for in this way, it
 * also has what was dropped after the last one. */
static void
count_drops(struct udp_listener *d)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t n = sizeof info;

	if (getsockopt(d->watch.fd, SOL_SOCKET, SO_MEMINFO, info, &n) == 0 &&
	    n > SK_MEMINFO_DROPS * sizeof *info) {
		d->counts.kernel_drops += info[SK_MEMINFO_DROPS] - d->dropped;
		d->dropped = info[SK_MEMINFO_DROPS];
	}
}

/* The kernel counts its own overhead and doubles what it is asked for; it reports the
 * double. */
static void
size_buffer(struct udp_listener *d)
{
	uint64_t asked = settings(d)->buffer_bytes;
	int fd = d->watch.fd, size = (int)asked, got = 0;
	socklen_t n = sizeof got;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &n);
	d->counts.buffer_bytes = (uint64_t)got / 2;
	if (d->counts.buffer_bytes < asked) {
		log_warning("%s: the kernel granted a receive buffer of %" PRIu64
			    " bytes instead of %" PRIu64
			    ": bursts may be lost; raise net.core.rmem_max, start as "
			    "root, or ask for less with --udp-buffer",
		    d->place->text, d->counts.buffer_bytes, asked);
	} else {
		log_info("%s: receive buffer of %" PRIu64 " bytes", d->place->text,
		    d->counts.buffer_bytes);
	}
}

/* Sources and their sessions. */

static bool
put_open(struct udp_listener *d, uint32_t session, const struct endpoint *from,
    uint64_t *ret_terms)
{
	struct session_identity identity = {
	    .transport = "udp", .peer = *from, .port = d->place->port};
	char text[SESSION_IDENTITY_TEXT];
	size_t n;

	(void)admission_terms(d->listener, &identity, ret_terms);
	n = session_identity_write(&identity, text, sizeof text);
	return intake_put(&d->listener->intake, FRAME_OPEN, session, text, n);
}

/* False: no room in the intake. */
static bool
end_session(struct udp_listener *d, struct udp_source *x, const char *reason)
{
	if (!intake_put(&d->listener->intake, FRAME_CLOSE, x->session, reason,
		strlen(reason))) {
		return false;
	}
	if (d->last == x) {
		d->last = NULL;
	}
	udp_sources_remove(d->sources, x);
	return true;
}

/* NULL: no room in the intake. */
static struct udp_source *
begin_session(struct udp_listener *d, const struct endpoint *from)
{
	struct listener *l = d->listener;
	struct udp_source *x;
	uint64_t terms = 0;
	char peer[ENDPOINT_TEXT];
	uint32_t session;

	if (udp_sources_count(d->sources) >= settings(d)->max_sources) {
		if (!end_session(d, udp_sources_spare(d->sources, &from->address),
			"evicted: idle longest of too many sources")) {
			return NULL;
		}
		d->counts.evicted++;
	}
	session = journal_new_session(l->intake.journal);
	if (!put_open(d, session, from, &terms)) {
		return NULL;
	}
	d->counts.sources++;
	if (peers_may_tell(l)) {
		endpoint_format(from, peer);
		log_info("%s sends to %s", peer, d->place->text);
	}
	x = udp_sources_add(d->sources, from, session, d->woken_ns);
	x->terms = terms;
	return x;
}

static bool
has_same_terms(const struct udp_listener *d, const struct udp_source *x)
{
	struct session_identity who = {.peer = x->from};
	uint64_t terms;

	return admission_terms(d->listener, &who, &terms) && terms == x->terms;
}

/* False: no room in the intake. */
static bool
judge_sources(struct udp_listener *d)
{
	struct listener *l = d->listener;
	struct udp_source *newer;
	char peer[ENDPOINT_TEXT];

	for (struct udp_source *x = udp_sources_oldest(d->sources);
	     d->is_unjudged && x != NULL; x = newer) {
		newer = udp_sources_newer(x);
		if (has_same_terms(d, x)) {
			continue;
		}
		endpoint_format(&x->from, peer); /* before it goes */
		if (!end_session(d, x, ADMISSION_OTHER_TERMS)) {
			return false;
		}
		l->counts.ended[PEERS_NO_LONGER]++;
		if (peers_may_tell(l)) {
			log_warning("lost %s: " ADMISSION_OTHER_TERMS, peer);
		}
		peers_sync_within(l, l->settings.sync_interval_ns);
	}
	d->is_unjudged = false;
	return true;
}

void
udp_listener_recheck(struct udp_listener *d)
{
	d->is_unjudged = d->listener->roster != NULL;
	if (!judge_sources(d)) {
		peers_wait_for_room(d->listener);
	}
}

/* The source of the i-th datagram.  NULL: it has no session. */
static struct udp_source *
find_source(struct udp_listener *d, unsigned i, struct endpoint *ret)
{
	udp_batch_source(d->batch, i, ret);
	ret->port = settings(d)->is_by_address ? 0 : ret->port;
	return d->last != NULL && endpoint_is_same(&d->last->from, ret)
		   ? d->last
		   : udp_sources_find(d->sources, ret);
}

/* Datagrams. */

/* Whether the i-th datagram may follow those of a source in their frame, of which room
 * is left. */
static bool
may_follow(
    struct udp_listener *d, unsigned i, const struct udp_source *source, size_t room)
{
	struct endpoint from;
	const uint8_t *head;
	size_t n = udp_batch_length(d->batch, i, &head);

	return protocol_is_exact(head, n) && n <= room &&
	       find_source(d, i, &from) == source;
}

/* A source that has a session is. */
static bool
is_permitted(struct udp_listener *d, unsigned i)
{
	struct endpoint from;

	return d->listener->roster == NULL || find_source(d, i, &from) != NULL ||
	       roster_has_address(d->listener->roster, &from.address);
}

/* Makes a frame of the datagram at d->at and of those after it that may share it:
 * messages that are as long as they say, which can be told apart again.
 * False: no room in the intake. */
static bool
pass_frame(struct udp_listener *d)
{
	struct intake *intake = &d->listener->intake;
	struct udp_source *source;
	const uint8_t *head;
	struct endpoint from;
	size_t room_n = 0, used = 0;
	uint8_t *room = NULL;
	bool may_share;

	source = find_source(d, d->at, &from);
	source = source != NULL ? source : begin_session(d, &from);
	if (source != NULL) {
		d->last = source;
		room = intake_room(intake, &room_n);
	}
	if (room == NULL) {
		return false;
	}
	room_n = room_n < FRAME_MOST ? room_n : FRAME_MOST;
	do {
		size_t n = udp_batch_length(d->batch, d->at, &head);
		may_share = protocol_is_exact(head, n);
		udp_batch_copy(d->batch, d->at, room + used);
		used += n;
		d->counts.messages++;
		d->at++;
	} while (may_share && d->at < d->received &&
		 may_follow(d, d->at, source, room_n - used));
	intake_add(intake, FRAME_MESSAGES, source->session, 0, used);
	udp_sources_touch(d->sources, source, d->woken_ns);
	return true;
}

/* The rest of the batch.  False: no room in the intake. */
static bool
pass_batch(struct udp_listener *d)
{
	while (d->at < d->received) {
		const uint8_t *head;
		size_t n = udp_batch_length(d->batch, d->at, &head);
		if (protocol_find(head, n) == NULL) {
			d->counts.not_ipfix++;
			d->at++;
		} else if (!is_permitted(d, d->at)) {
			d->counts.not_permitted++;
			d->at++;
		} else if (!pass_frame(d)) {
			return false;
		}
	}
	return true;
}

/* Up to *budget datagrams.  0: more are there; -EAGAIN: no more; -EBUSY: no room in the
 * intake. */
static int
receive(struct udp_listener *d, unsigned *budget)
{
	size_t room;
	int n = UDP_BATCH;

	if (!judge_sources(d) || !pass_batch(d)) {
		return -EBUSY;
	}
	while (*budget >= UDP_BATCH) {
		if (n < UDP_BATCH) {
			return -EAGAIN;
		}
		/* What is not received yet, the kernel keeps. */
		if (intake_room(&d->listener->intake, &room) == NULL) {
			return -EBUSY;
		}
		n = udp_batch_receive(d->batch, d->watch.fd);
		if (n <= 0) {
			return -EAGAIN; /* an error is of a datagram that is gone */
		}
		*budget -= (unsigned)n;
		d->at = 0;
		d->received = (unsigned)n;
		d->counts.datagrams += (unsigned)n;
		for (unsigned i = 0; i < d->received; i++) {
			const uint8_t *head;
			d->counts.octets += udp_batch_length(d->batch, i, &head);
		}
		if (!pass_batch(d)) {
			return -EBUSY;
		}
	}
	return 0;
}

/* When to look again. */

static void
look_away(struct udp_listener *d, uint64_t due_ns)
{
	if (d->is_watched) {
		loop_remove(d->listener->loop, &d->watch);
		d->is_watched = false;
	}
	loop_timer_set(d->listener->loop, &d->timer, due_ns);
}

static void
watch(struct udp_listener *d)
{
	if (!d->is_watched) {
		d->is_watched = loop_add(d->listener->loop, &d->watch) == 0;
	}
	if (!d->is_watched) { /* out of memory */
		loop_timer_set(
		    d->listener->loop, &d->timer, d->woken_ns + NS_PER_SECOND);
	}
}

static void
step(struct udp_listener *d)
{
	struct listener *l = d->listener;
	uint64_t before_ns = d->woken_ns;
	unsigned budget = TURN;
	int rc;

	d->woken_ns = clock_monotonic_ns();
	rc = receive(d, &budget);
	if (rc == -EBUSY) {
		peers_wait_for_room(l);
		look_away(d, d->woken_ns + STUCK_NS);
	} else if (rc == 0) {
		look_away(d, d->woken_ns + 1); /* after the next round of sockets */
	} else if (budget < TURN &&
		   (!d->is_watched || d->woken_ns - before_ns < NAP_NS)) {
		look_away(d, d->woken_ns + NAP_NS);
	} else {
		watch(d);
	}
	if (l->intake.added != l->synced_frames) {
		peers_sync_within(l, l->settings.sync_interval_ns);
	}
}

static void
door_ready(struct loop_watch *w, uint32_t events)
{
	(void)events;
	step(w->data);
}

static void
timer_expired(struct loop_timer *t, uint64_t now_ns)
{
	(void)now_ns;
	step(t->data);
}

void
udp_listener_second(struct udp_listener *d, uint64_t now_ns)
{
	uint64_t idle = settings(d)->idle_ns;
	struct udp_source *x;
	char reason[64];

	count_drops(d);
	(void)judge_sources(d);
	while (idle != 0 && (x = udp_sources_oldest(d->sources)) != NULL &&
	       now_ns > x->seen_ns && now_ns - x->seen_ns >= idle) {
		snprintf(reason, sizeof reason, "silent for %" PRIu64 " s",
		    (uint64_t)((now_ns - x->seen_ns) / NS_PER_SECOND));
		if (!end_session(d, x, reason)) {
			return;
		}
		d->counts.idle++;
		peers_sync_within(d->listener, d->listener->settings.sync_interval_ns);
	}
}

/* Making and ending. */

int
udp_listener_new(struct listener *l, const struct transport_listener *place,
    struct udp_listener **ret, struct err *e)
{
	struct udp_listener *d = calloc(1, sizeof *d);
	int rc = -ENOMEM;

	if (d == NULL) {
		return err_set(e, rc, "no memory to listen at %s", place->text);
	}
	d->listener = l;
	d->place = place;
	d->timer = (struct loop_timer){.expired = timer_expired, .data = d};
	d->watch = (struct loop_watch){
	    .fd = place->fd, .events = EPOLLIN, .ready = door_ready, .data = d};
	d->batch = udp_batch_new();
	d->sources = udp_sources_new(settings(d)->max_sources);
	if (d->batch == NULL || d->sources == NULL) {
		err_set(e, rc, "no memory to listen at %s", place->text);
		goto out;
	}
	size_buffer(d);
	rc = loop_add(l->loop, &d->watch);
	if (rc < 0) {
		err_set(e, rc, "cannot listen at %s: %s", place->text, strerror(-rc));
		goto out;
	}
	d->is_watched = true;
	*ret = d;
	d = NULL;
out:
	udp_listener_free(d);
	return rc;
}

/* Everything that the kernel may hold for us, even as the smallest datagrams. */
void
udp_listener_stop(struct udp_listener *d, uint64_t due_ns)
{
	uint64_t most = d->counts.octets + 2 * d->counts.buffer_bytes;
	int rc = 0;

	if (d->watch.fd < 0) {
		return;
	}
	if (d->is_watched) {
		loop_remove(d->listener->loop, &d->watch);
		d->is_watched = false;
	}
	loop_timer_clear(d->listener->loop, &d->timer);
	while (rc != -EAGAIN && d->counts.octets < most) {
		unsigned budget = TURN;
		d->woken_ns = clock_monotonic_ns();
		rc = receive(d, &budget);
		if (d->woken_ns >= due_ns ||
		    (rc == -EBUSY && !peers_wait_unstuck(d->listener, due_ns))) {
			break;
		}
	}
	count_drops(d);
	while (
	    udp_sources_count(d->sources) > 0 &&
	    end_session(d, udp_sources_oldest(d->sources), "the collector stopped")) {
	}
	d->watch.fd = -1;
}

void
udp_listener_counts(const struct udp_listener *d, struct udp_listener_counts *ret)
{
	*ret = d->counts;
}

void
udp_listener_free(struct udp_listener *d)
{
	if (d == NULL) {
		return;
	}
	if (d->is_watched) {
		loop_remove(d->listener->loop, &d->watch);
	}
	loop_timer_clear(d->listener->loop, &d->timer);
	udp_sources_free(d->sources);
	udp_batch_free(d->batch);
	free(d);
}
