#include "collector/door/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "collector/door/door_private.h"
#include "collector/door/udp_listener.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"

#define ACCEPT_BURST 64
#define QUIET_MOST   4096                /* seconds of silence after which ticks end */
#define DRAIN_NS     (5 * NS_PER_SECOND) /* at the end, for datagrams */

static void
door_ready(struct loop_watch *w, uint32_t events)
{
	struct door *d = w->data;
	struct listener *l = d->listener;
	struct err e = {0};
	int rc = 0;

	(void)events;
	for (int i = 0; i < ACCEPT_BURST && (rc == 0 || rc == -ECONNABORTED); i++) {
		struct transport t;
		rc = transport_accept(&d->place, &t, l->tls, &e);
		if (rc == 0) {
			reception_admit(l, &t);
		} else if (rc == -ECONNABORTED) {
			peers_tell_short(l, &t);
		}
	}
	if (rc < 0 && rc != -EAGAIN && rc != -ECONNABORTED) {
		/* Out of files or memory: the queue of connections stays readable, so
		 * look away for a second. */
		loop_remove(l->loop, w);
		d->is_watched = false;
		if (peers_may_tell(l)) {
			log_error("%s: %s", d->place.text, e.text);
		}
	}
}

static int
open_door(struct listener *l, struct door *d, const char *text, struct err *e)
{
	struct transport_uri uri;
	int rc;

	d->listener = l;
	d->watch = (struct loop_watch){
	    .fd = -1, .events = EPOLLIN, .ready = door_ready, .data = d};
	rc = schemes_parse_uri(text, &uri, e);
	if (rc < 0) {
		return rc;
	}
	if (uri.scheme->is_file) {
		return err_set(e, -EINVAL,
		    "cannot listen at \"%s\": listen at tcp://, tls:// or udp://, or "
		    "read a file with -r",
		    text);
	}
	if (uri.scheme->is_secure && l->tls == NULL) {
		rc = tls_context_new(&l->settings.tls, true, &l->tls, e);
		if (rc < 0) {
			return err_prefix(e, rc, "cannot listen at %s", text);
		}
	}
	rc = transport_listen(&uri, &d->place, e);
	if (rc < 0) {
		return rc;
	}
	if (uri.scheme->listener->accept == NULL) {
		return udp_listener_new(l, &d->place, &d->udp, e);
	}
	d->is_shared = uri.scheme->listener->counts != NULL;
	d->watch.fd = d->place.fd;
	rc = loop_add(l->loop, &d->watch);
	if (rc < 0) {
		return err_set(e, rc, "cannot listen at %s: %s", text, strerror(-rc));
	}
	d->is_watched = true;
	return 0;
}

static void
close_doors(struct listener *l)
{
	uint16_t port;

	for (unsigned i = 0; i < l->door_count; i++) {
		struct door *d = &l->doors[i];
		if (d->is_watched) {
			loop_remove(l->loop, &d->watch);
			d->is_watched = false;
		}
		if (d->udp != NULL) {
			udp_listener_stop(d->udp, clock_monotonic_ns() + DRAIN_NS);
		}
		if (d->is_shared && d->place.scheme != NULL) {
			d->place.scheme->listener->counts(&d->place, &d->counts);
		}
		port = d->place.port;
		transport_unlisten(&d->place);
		d->place.port = port; /* what was counted goes by it */
		d->watch.fd = -1;
	}
}

/* Once a second. */

/* The processing thread reads no clock: frames tell it the time.  Where none arrive,
 * ticks do, after 1, 2, 3, 4 seconds and then ever more rarely, until all that it holds
 * has surely been flushed. */
static void
tick(struct listener *l)
{
	if (l->intake.added != l->told_frames) {
		l->told_frames = l->intake.added;
		l->quiet_s = 0;
		l->tick_s = 1;
		return;
	}
	l->quiet_s++;
	if (l->tick_s == 0 || l->quiet_s < l->tick_s || l->quiet_s > QUIET_MOST) {
		return;
	}
	if (intake_put(&l->intake, FRAME_TICK, 0, "", 0)) {
		l->told_frames = l->intake.added;
		l->tick_s = l->quiet_s + 1 + l->quiet_s / 4;
		peers_sync_within(l, l->settings.sync_interval_ns);
	}
}

static void
second_expired(struct loop_timer *t, uint64_t now_ns)
{
	struct listener *l = t->data;

	loop_timer_set(l->loop, t, now_ns + NS_PER_SECOND);
	if (l->untold > 0) {
		log_warning("%" PRIu64 " peer messages suppressed in the last second",
		    l->untold);
	}
	l->untold = l->told = l->noted = 0;
	acknowledge_time_out(l, now_ns);
	admission_time_out(l, now_ns);
	for (unsigned i = 0; i < l->door_count; i++) {
		struct door *d = &l->doors[i];
		if (!d->is_watched && d->watch.fd >= 0) {
			d->is_watched = loop_add(l->loop, &d->watch) == 0;
		}
		if (d->udp != NULL) {
			udp_listener_second(d->udp, now_ns);
		}
	}
	tick(l);
}

/* Making and ending. */

static bool
has_identity(const char *identity, void *data)
{
	const struct listener *l = data;

	return roster_has_identity(l->roster, identity);
}

static int
open_roster(struct listener *l, struct err *e)
{
	if (l->settings.roster_file == NULL) {
		return 0;
	}
	l->settings.tls.is_permitted = has_identity;
	l->settings.tls.permission = l;
	return roster_load(l->settings.roster_file, &l->roster, e);
}

static int
make_marks(struct listener *l, struct err *e)
{
	int rc = -ENOMEM;

	l->intake.marks = watermarks_new(l->settings.max_spools);
	if (l->intake.marks != NULL) {
		rc = l->settings.marks == NULL
			 ? 0
			 : watermarks_copy(l->intake.marks, l->settings.marks);
	}
	l->settings.marks = NULL; /* the processing side goes on with it */
	return rc < 0 ? err_set(e, rc, "no memory to track spools") : 0;
}

int
listener_new(
    const struct listener_settings *settings, struct listener **ret, struct err *e)
{
	struct listener *l = calloc(1, sizeof *l);
	int rc = -ENOMEM;

	if (l != NULL) {
		l->doors = calloc(settings->uri_count, sizeof *l->doors);
	}
	if (l == NULL || l->doors == NULL) {
		err_set(e, rc, "no memory to listen");
		goto out;
	}
	l->settings = *settings;
	l->loop = settings->loop;
	l->intake.journal = settings->journal;
	l->intake.out = settings->out;
	l->settings.tls.alpn = DELIVERY_ALPN;
	l->second_timer = (struct loop_timer){.expired = second_expired, .data = l};
	reception_init(l);
	rc = open_roster(l, e);
	if (rc == 0) {
		rc = make_marks(l, e);
	}
	for (unsigned i = 0; i < settings->uri_count && rc == 0; i++) {
		l->door_count = i + 1;
		rc = open_door(l, &l->doors[i], settings->uris[i], e);
	}
	if (rc < 0) {
		goto out;
	}
	loop_timer_set(l->loop, &l->second_timer, clock_monotonic_ns() + NS_PER_SECOND);
	*ret = l;
	l = NULL;
out:
	listener_free(l);
	return rc;
}

uint16_t
listener_port(const struct listener *l, unsigned i)
{
	return i < l->door_count ? l->doors[i].place.port : 0;
}

int
listener_reload(struct listener *l, struct err *e)
{
	struct tls_context *fresh = NULL;
	struct roster *roster = NULL;
	int rc = 0;

	if (l->tls != NULL) {
		rc = tls_context_new(&l->settings.tls, true, &fresh, e);
	}
	if (rc == 0 && l->roster != NULL) {
		rc = roster_load(l->settings.roster_file, &roster, e);
	}
	if (rc < 0) {
		tls_context_free(fresh);
		return rc;
	}
	if (fresh != NULL) {
		tls_context_free(l->tls); /* connections keep theirs */
		l->tls = fresh;
	}
	if (roster != NULL) {
		roster_free(l->roster);
		l->roster = roster;
	}
	admission_recheck(l);
	for (unsigned i = 0; i < l->door_count; i++) {
		if (l->doors[i].udp != NULL) {
			udp_listener_recheck(l->doors[i].udp);
		}
	}
	return 0;
}

void
listener_cut(struct listener *l, uint32_t session)
{
	admission_cut(l, session);
}

void
listener_stop(struct listener *l)
{
	close_doors(l);
	loop_timer_clear(l->loop, &l->second_timer);
	reception_stop(l);
}

static void
add_list(const struct peer_list *list, struct listener_counts *ret)
{
	for (const struct peer *p = list->first; p != NULL; p = p->next) {
		ret->bytes += p->bytes;
		ret->messages += p->messages;
	}
}

void
listener_counts(const struct listener *l, struct listener_counts *ret)
{
	*ret = l->counts;
	ret->bytes = l->bytes;
	ret->messages = l->messages;
	add_list(&l->half_open, ret);
	add_list(&l->peers, ret);
	add_list(&l->stuck, ret);
	add_list(&l->ended, ret);
	for (unsigned i = 0; i < l->door_count; i++) {
		struct udp_listener_counts c;
		if (l->doors[i].udp != NULL) {
			udp_listener_counts(l->doors[i].udp, &c);
			ret->bytes += c.octets;
			ret->messages += c.messages;
		}
	}
}

/* What its sessions make of the datagrams is counted as theirs. */
static void
shared_counts(const struct door *d, struct udp_listener_counts *ret)
{
	struct transport_counts c = d->counts;

	if (d->place.scheme != NULL) {
		d->place.scheme->listener->counts(&d->place, &c);
	}
	*ret = (struct udp_listener_counts){
	    .datagrams = c.datagrams,
	    .octets = c.octets,
	    .not_ipfix = c.foreign,
	    .kernel_drops = c.dropped,
	    .sources = c.connections,
	};
}

bool
listener_udp_counts(
    const struct listener *l, unsigned i, struct udp_listener_counts *ret)
{
	if (i >= l->door_count || (l->doors[i].udp == NULL && !l->doors[i].is_shared)) {
		return false;
	}
	if (l->doors[i].udp != NULL) {
		udp_listener_counts(l->doors[i].udp, ret);
	} else {
		shared_counts(&l->doors[i], ret);
	}
	return true;
}

void
listener_free(struct listener *l)
{
	if (l == NULL) {
		return;
	}
	for (unsigned i = 0; i < l->door_count; i++) {
		udp_listener_free(l->doors[i].udp);
		l->doors[i].udp = NULL;
	}
	if (l->doors != NULL) {
		close_doors(l);
	}
	if (l->loop != NULL) {
		loop_timer_clear(l->loop, &l->second_timer);
		reception_done(l);
	}
	tls_context_free(l->tls);
	roster_free(l->roster);
	watermarks_free(l->intake.marks);
	free(l->doors);
	free(l);
}
