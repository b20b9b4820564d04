/* Imports files, one after the other, until a signal. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "collector/run/run_private.h"
#include "collector/store/compact.h"
#include "common/base/log.h"
#include "common/base/privileges.h"

/* Each sender in a capture is a session. */
#define MAX_SESSIONS  40000u
#define MAX_DOMAINS   80000u
#define MAX_TEMPLATES 4096u
#define MAX_FIELDS    2048u

static atomic_bool is_stopped;

/* The first signal asks to stop, the second kills. */
static void
take_signal(int number)
{
	atomic_store(&is_stopped, true);
	signal(number, SIG_DFL);
}

/* Captures of traffic are easily mistaken for captures of exports. */
static void
tell_of_nothing(const char *path, const struct import_counts *c)
{
	uint64_t others = c->skipped[IMPORT_NOT_UDP] + c->skipped[IMPORT_NOT_EXPORT];

	if (c->bytes == 0 && !c->is_already && others > 0) {
		log_warning(
		    "%s: no packet carries IPFIX, NetFlow v9 or v5, or sFlow v5 over "
		    "UDP; to make records of its packets, use flowpair-exporter -r",
		    path);
	}
}

/* Logs whether this file, or another one of its name, was imported before. */
static void
tell_known(const char *path, const struct import_counts *c)
{
	if (c->known > 0) {
		log_info("%s: its first %llu bytes were imported before; imported only "
			 "the rest",
		    path, (unsigned long long)c->known);
	}
	if (c->changed > 0) {
		log_warning("%s: does not start with the %llu bytes imported from it "
			    "before; imported all of it%s",
		    path, (unsigned long long)c->changed,
		    c->known > 0 ? " that follows" : "");
	}
}

static void
tell(const char *path, const struct import_counts *c)
{
	tell_of_nothing(path, c);
	if (c->is_already) {
		log_info("%s: already imported, skipped", path);
	}
	if (c->skipped[IMPORT_TRAILING] > 0) {
		log_warning("%s: skipped %llu bytes after the last complete message",
		    path, (unsigned long long)c->skipped[IMPORT_TRAILING]);
	}
	if (c->skipped[IMPORT_LEADING] > 0) {
		log_warning("%s: skipped %llu bytes before the first message", path,
		    (unsigned long long)c->skipped[IMPORT_LEADING]);
	}
}

/* The tables are complete without it, so a failure is only logged. */
static void
compact_days(struct compact *c)
{
	struct err e;
	int rc = 1;

	while (c != NULL && rc != 0 && !atomic_load(&is_stopped)) {
		rc = compact_next(c, COMPACT_ALL, &e);
		if (rc < 0) {
			log_warning("%s; the day is left uncompacted", e.text);
		}
	}
}

/* Opens the store as the user that will own it. */
static int
open_store(struct run *r, struct err *e)
{
	const struct options *o = r->o;
	int rc = 0;

	if (o->shared.user != NULL) {
		rc = run_make_for_user(run_store_directory(r), o->shared.user, e);
		rc = rc == 0 ? privileges_drop(o->shared.user, e) : rc;
	}
	return rc < 0 ? rc : store_open(o->store, r->tables, &r->store, e);
}

int
run_import(struct run *r)
{
	const struct options *o = r->o;
	struct import_settings s = {
	    .process.sessions = {.max_sessions = MAX_SESSIONS,
		.max_domains = MAX_DOMAINS,
		.max_templates = MAX_TEMPLATES,
		.max_fields = MAX_FIELDS,
		.max_spools = 1,
		.exporter = o->exporter},
	    .process.elements = r->elements,
	    .is_stopped = &is_stopped,
	    .is_by_address = o->udp_sessions == UDP_BY_ADDRESS,
	    .shows_progress =
		o->shared.progress == PROGRESS_ALWAYS ||
		(o->shared.progress == PROGRESS_AUTO && isatty(STDERR_FILENO) == 1),
	};
	const struct sigaction action = {.sa_handler = take_signal};
	struct compact *compact = NULL;
	struct err e;
	int result = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	result = open_store(r, &e);
	s.process.store = r->store;
	if (result == 0 && o->compact == COMPACT_AUTO) {
		result = compact_new(r->store, true, &compact, &e);
	}
	if (result < 0) {
		log_error("%s", e.text);
		return result;
	}
	r->is_begun = true;
	for (unsigned i = 0; i < o->files.count && result != -EINTR; i++) {
		struct import_counts c;
		int rc = import_file(o->files.items[i], &s, &c, &e);
		tell_known(o->files.items[i], &c);
		summary_add_import(&r->summary, &c);
		r->summary.files++;
		if (rc < 0) {
			/* The other files are imported nevertheless. */
			log_error("%s", e.text);
			r->summary.files_failed++;
			result = rc;
			continue;
		}
		tell(o->files.items[i], &c);
	}
	compact_days(compact);
	compact_free(compact);
	return result;
}
