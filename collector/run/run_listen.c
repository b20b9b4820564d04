/* Listens: this thread receives, another one processes, and a ring of journal buffers
 * connects them. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector/door/listener.h"
#include "collector/journal/journal.h"
#include "collector/process/process.h"
#include "collector/run/metrics_timer.h"
#include "collector/run/run_private.h"
#include "collector/store/compact.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/privileges.h"
#include "common/base/ring.h"
#include "common/schemes/schemes.h"

/* Buffers of the journal if every sender can wait. */
#define RELIABLE_BUFFERS 16u
#define RING             128u /* more than the journal has buffers: a push never waits */
#define MAX_TEMPLATES    4096u
#define MAX_FIELDS       2048u
#define SPARE_FILES      128u          /* beside one for each peer */
#define COMPACT_EVERY    NS_PER_MINUTE /* looks for days that are over */

struct service {
	struct run *run;
	struct loop *loop;
	struct ring *ring;
	struct journal *journal;
	struct process *process;
	struct listener *listener;
	struct metrics_timer *metrics;
	struct ring *cuts; /* sessions that the processing thread wants ended */
	_Atomic bool has_failed;
	pthread_t thread;
	bool has_thread;
	/* The processing thread's. */
	struct compact *compact; /* NULL: never */
	uint64_t compact_ns;     /* when to look, monotonic */
	uint64_t flushes;        /* when it looked last */
	/* The processing thread's, read after it was joined. */
	int result;
	struct err error;
};

/* The processing thread failed for good. */
static void
fail(struct service *s)
{
	s->has_failed = true;
	loop_wake(s->loop);
}

/* The processing thread wants to end a session that sends only errors.  Sessions in a
 * replay have ended already. */
static bool
cut(uint32_t session, void *data)
{
	struct service *s = data;

	if (!s->has_thread || ring_try_push(s->cuts, (void *)(uintptr_t)session) < 0) {
		return false;
	}
	loop_wake(s->loop);
	return true;
}

/* Processes the frames of a buffer.  After a failure, buffers are only returned: their
 * frames are in the journal, and the next start processes them. */
static void
process_buffer(struct service *s, const struct journal_buffer *b)
{
	struct frame f;
	size_t at = 0;

	while (s->result == 0 && journal_buffer_next(b, &at, &f) > 0) {
		s->result = process_frame(s->process, &f, &s->error);
		if (s->result < 0) {
			fail(s);
		}
	}
}

/* Frames carry the time.  When none arrive, because peers are silent or the journal is
 * full, the clock does. */
static void
process_tick(struct service *s)
{
	const struct frame f = {.kind = FRAME_TICK, .arrival_ns = clock_realtime_ns()};

	if (s->result == 0) {
		s->result = process_frame(s->process, &f, &s->error);
		if (s->result < 0) {
			fail(s);
		}
	}
}

/* Compacts at most one day, just after a flush or while nothing arrives. */
static void
compact_one(struct service *s, bool is_idle)
{
	struct process_counts counts;
	uint64_t now = clock_monotonic_ns();
	struct err e;
	int rc;

	if (s->compact == NULL || s->result < 0 || now < s->compact_ns) {
		return;
	}
	process_counts(s->process, &counts);
	if (!is_idle && counts.flushes == s->flushes) {
		return;
	}
	s->flushes = counts.flushes;
	rc = compact_next(s->compact, clock_realtime_ns(), &e);
	if (rc < 0) {
		log_warning("%s; the day is left uncompacted", e.text);
	} else if (rc == 0) {
		s->compact_ns = now + COMPACT_EVERY;
	}
}

static void *
process_all(void *data)
{
	struct service *s = data;

	process_adopt(s->process);
	for (;;) {
		struct journal_buffer *b = ring_pop(s->ring, NS_PER_SECOND);
		if (b != NULL) {
			process_buffer(s, b);
			journal_buffer_return(s->journal, b);
			compact_one(s, false);
		} else if (ring_is_closed(s->ring)) {
			break;
		} else {
			process_tick(s);
			compact_one(s, true);
		}
		metrics_timer_publish(
		    s->metrics, s->process, s->run->tables, clock_monotonic_ns());
	}
	if (s->result == 0) {
		s->result = process_flush(s->process, false, &s->error);
	}
	return NULL;
}

static void
stop(struct service *s)
{
	/* Do not wait for a store that fails now: the journal has the messages. */
	process_give_up(s->process);
	listener_stop(s->listener);
	loop_stop(s->loop);
}

static void
take_signal(int number, void *data)
{
	struct service *s = data;
	struct err e = {0};

	if (number != SIGHUP) {
		stop(s);
	} else if (listener_reload(s->listener, &e) < 0) {
		log_error("%s; keeping the previous certificates and peers", e.text);
	} else {
		metrics_timer_reload(s->metrics);
		log_info("reloaded certificates, revocation lists and peers");
	}
}

/* The processing thread has failed for good, or wants to end sessions. */
static void
take_wake(void *data)
{
	struct service *s = data;
	void *session;

	while ((session = ring_pop(s->cuts, 0)) != NULL) {
		listener_cut(s->listener, (uint32_t)(uintptr_t)session);
	}
	if (s->has_failed) {
		stop(s);
	}
}

/* Memory for messages that are received but not yet processed. */
static unsigned
journal_buffers(const struct options *o)
{
	struct transport_uri uri;

	for (unsigned i = 0; i < o->listen.count; i++) {
		if (schemes_parse_uri(o->listen.items[i], &uri, NULL) < 0 ||
		    uri.scheme->is_unreliable) {
			return JOURNAL_BUFFERS;
		}
	}
	return RELIABLE_BUFFERS;
}

static int
open_store(struct service *s, struct err *e)
{
	const struct options *o = s->run->o;
	struct journal_settings settings = {
	    .segment_bytes = o->segment_bytes,
	    .max_bytes = o->journal_bytes,
	    .sync_interval_ns = o->sync_interval_ns,
	    .buffers = journal_buffers(o),
	    .skip_damage = o->skip_damaged_journal,
	};
	char path[PATH_MAX];
	int rc = 0;

	rc = store_open(o->store, s->run->tables, &s->run->store, e);
	if (rc == 0 && o->compact == COMPACT_AUTO) {
		rc = compact_new(s->run->store, false, &s->compact, e);
	}
	if (rc < 0) {
		return rc;
	}
	settings.directory = o->journal;
	if (o->journal == NULL) {
		if ((size_t)snprintf(path, sizeof path, "%s/journal",
			run_store_directory(s->run)) >= sizeof path) {
			return err_set(
			    e, -ENAMETOOLONG, "the name of --store is too long");
		}
		settings.directory = path;
	}
	return journal_open(&settings, &s->journal, e);
}

static int
replay(struct service *s, struct err *e)
{
	const struct options *o = s->run->o;
	const unsigned sessions =
	    2 * (unsigned)(o->max_peers + o->listen.count * o->udp_sources) + 64;
	const struct process_settings settings = {
	    .sessions = {.max_sessions = sessions,
		.max_domains = 8 * sessions,
		.max_templates = MAX_TEMPLATES,
		.template_lifetime_ns = o->template_lifetime_ns,
		.max_fields = MAX_FIELDS,
		.max_spools = 2 * (unsigned)o->max_spools, /* forget last */
		.is_live = true,
		.max_errors = (unsigned)o->max_errors,
		.cut = cut,
		.cut_data = s,
		.exporter = o->exporter},
	    .flush_interval_ns = o->flush_interval_ns,
	    .elements = s->run->elements,
	    .store = s->run->store,
	    .journal = s->journal,
	};
	struct process_counts counts;
	int rc;

	rc = process_new(&settings, journal_id(s->journal), &s->process, e);
	if (rc == 0) {
		rc = process_replay(s->process, e);
	}
	if (rc < 0) {
		return rc;
	}
	process_counts(s->process, &counts);
	if (counts.replayed > 0) {
		log_info("stored %" PRIu64
			 " messages from the journal that were not yet in the tables",
		    counts.replayed);
	}
	if (journal_skipped(s->journal) > 0) {
		log_warning("%" PRIu64
			    " bytes of the journal could not be read and are lost",
		    journal_skipped(s->journal));
	}
	return 0;
}

/* Store and journal belong to the user that the program switches to. */
static int
open_as_user(struct service *s, struct err *e)
{
	const struct options *o = s->run->o;
	struct err trouble;
	int rc = 0;

	if (o->shared.user != NULL) {
		rc = run_make_for_user(run_store_directory(s->run), o->shared.user, e);
		if (rc == 0 && o->journal != NULL) {
			rc = run_make_for_user(o->journal, o->shared.user, e);
		}
		if (rc == 0) {
			rc = privileges_lower(o->shared.user, e);
		}
		if (rc < 0) {
			return rc;
		}
	}
	rc = open_store(s, e);
	if (rc == 0) {
		rc = replay(s, e);
	}
	if (o->shared.user != NULL && privileges_raise(&trouble) < 0 && rc == 0) {
		*e = trouble;
		rc = -EPERM;
	}
	return rc;
}

static void
raise_file_limit(unsigned peers)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= peers + SPARE_FILES) {
		return;
	}
	l.rlim_cur =
	    l.rlim_max < peers + SPARE_FILES ? l.rlim_max : peers + SPARE_FILES;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < peers + SPARE_FILES) {
		log_warning(
		    "the limit of open files is %llu, so fewer peers than --max-peers "
		    "%u can connect",
		    (unsigned long long)l.rlim_cur, peers);
	}
}

static int
open_listener(struct service *s, struct err *e)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	const struct options *o = s->run->o;
	struct listener_settings settings = {
	    .uris = o->listen.items,
	    .uri_count = o->listen.count,
	    .max_peers = (unsigned)o->max_peers,
	    .roster_file = o->peers,
	    .max_peers_per_address = (unsigned)o->max_peers_per_address,
	    .max_half_open = (unsigned)o->max_half_open,
	    .message_timeout_ns = o->message_timeout_ns,
	    .max_spools = (unsigned)o->max_spools,
	    .marks = process_watermarks(s->process),
	    .handshake_timeout_ns = o->handshake_timeout_ns,
	    .idle_timeout_ns = o->idle_timeout_ns,
	    .sync_interval_ns = o->sync_interval_ns,
	    .udp = {.buffer_bytes = o->udp_buffer_bytes,
		.idle_ns = o->udp_idle_ns,
		.max_sources = (unsigned)o->udp_sources,
		.is_by_address = o->udp_sessions == UDP_BY_ADDRESS},
	};
	int rc;

	run_tls_settings(o, &settings.tls);
	raise_file_limit(settings.max_peers);
	s->loop = loop_new();
	s->ring = ring_new(RING);
	s->cuts = ring_new(RING);
	if (s->loop == NULL || s->ring == NULL || s->cuts == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	rc = loop_signals(s->loop, signals, take_signal, s);
	if (rc < 0) {
		return err_set(e, rc, "cannot handle signals: %s", strerror(-rc));
	}
	loop_on_wake(s->loop, take_wake, s);
	settings.loop = s->loop;
	settings.journal = s->journal;
	settings.out = s->ring;
	return listener_new(&settings, &s->listener, e);
}

/* "tls://127.0.0.1:0" with the actual port. */
static void
format_uri(const struct service *s, unsigned i, char *out, size_t capacity)
{
	struct transport_uri uri;
	const char *host;

	out[0] = '\0';
	if (schemes_parse_uri(s->run->o->listen.items[i], &uri, NULL) == 0) {
		host = uri.host[0] == '\0' ? "*" : uri.host;
		snprintf(out, capacity,
		    strchr(host, ':') == NULL ? "%s://%s:%u" : "%s://[%s]:%u",
		    uri.scheme->name, host, (unsigned)listener_port(s->listener, i));
	}
}

static int
tell_ports(const struct service *s, struct err *e)
{
	const struct options *o = s->run->o;
	char temporary[PATH_MAX], text[512];
	FILE *f = NULL;

	if (o->port_file != NULL) {
		snprintf(temporary, sizeof temporary, "%s.new", o->port_file);
		f = fopen(temporary, "we");
		if (f == NULL) {
			return err_set(e, -errno, "cannot write --port-file %s: %s",
			    o->port_file, strerror(errno));
		}
	}
	for (unsigned i = 0; i < o->listen.count; i++) {
		format_uri(s, i, text, sizeof text);
		log_info("listening on %s", text);
		if (f != NULL) {
			fprintf(f, "%s\n", text);
		}
	}
	if (f != NULL && (fclose(f) != 0 || rename(temporary, o->port_file) < 0)) {
		return err_set(e, -errno, "cannot write --port-file %s: %s",
		    o->port_file, strerror(errno));
	}
	return 0;
}

/* The receiving thread's counts.  The caller frees ret->udp. */
static void
sum_up(struct summary *ret, void *data)
{
	struct service *s = data;
	unsigned count = s->run->o->listen.count;

	listener_counts(s->listener, &ret->listener);
	ret->bytes = ret->listener.bytes;
	ret->journal_bytes = journal_end(s->journal);
	ret->udp = calloc(count, sizeof *ret->udp);
	for (unsigned i = 0; ret->udp != NULL && i < count; i++) {
		struct summary_udp *u = &ret->udp[ret->udp_count];
		if (listener_udp_counts(s->listener, i, &u->counts)) {
			format_uri(s, i, u->uri, sizeof u->uri);
			ret->udp_count++;
		}
	}
}

static int
open_metrics(struct service *s, struct err *e)
{
	struct metrics_timer_settings settings = {
	    .path = s->run->o->shared.metrics_file, .sum_up = sum_up, .data = s};

	run_tls_settings(s->run->o, &settings.tls);
	return metrics_timer_new(&settings, s->loop, &s->metrics, e);
}

static int
serve(struct service *s, struct err *e)
{
	int rc;

	s->has_thread = true;
	rc = pthread_create(&s->thread, NULL, process_all, s);
	if (rc != 0) {
		return err_set(e, -rc, "cannot start a thread: %s", strerror(rc));
	}
	rc = loop_run(s->loop);
	if (rc < 0) {
		err_set(e, rc, "the event loop failed: %s", strerror(-rc));
	}
	ring_close(s->ring);
	pthread_join(s->thread, NULL);
	if (s->result < 0 && rc == 0) {
		*e = s->error;
		rc = s->result;
	}
	sum_up(&s->run->summary, s);
	s->run->summary.expiry = *metrics_timer_expiry(s->metrics);
	process_counts(s->process, &s->run->summary.process);
	return rc;
}

int
run_listen(struct run *r)
{
	struct service s = {.run = r};
	struct err e;
	int rc;

	r->summary.is_live = true;
	signal(SIGPIPE, SIG_IGN);
	rc = open_as_user(&s, &e);
	if (rc == 0) {
		rc = open_listener(&s, &e);
	}
	if (rc == 0) {
		rc = tell_ports(&s, &e);
	}
	if (rc == 0) {
		rc = privileges_drop(r->o->shared.user, &e);
	}
	if (rc == 0) {
		rc = open_metrics(&s, &e);
	}
	if (rc == 0) {
		r->is_begun = true;
		rc = serve(&s, &e);
	}
	if (rc < 0) {
		log_error("%s", e.text);
	}
	metrics_timer_free(s.metrics);
	listener_free(s.listener);
	process_free(s.process);
	compact_free(s.compact);
	journal_close(s.journal);
	ring_free(s.ring);
	ring_free(s.cuts);
	loop_free(s.loop);
	return rc;
}
