#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/privileges.h"
#include "common/schemes/schemes.h"
#include "exporter/run/reload.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

/* Finds a restarted collector soon, and does not bother one that stays away. */
#define RETRY_MIN_NS (NS_PER_SECOND / 10)
#define RETRY_MAX_NS (30 * NS_PER_SECOND)

static struct tls_settings
tls_of(const struct options *o)
{
	return (struct tls_settings){
	    .certificate = o->shared.certificate,
	    .key = o->shared.key,
	    .ca = o->shared.ca,
	    .crl = o->shared.crl,
	    .tls12 = o->shared.tls12,
	};
}

/* Opens sender i.  A single sender's spool is DIR; several have DIR/1, DIR/2, ... */
static int
open_sender(
    struct run *r, unsigned i, const struct export_preamble *preamble, struct err *e)
{
	const struct options *o = r->o;
	bool is_one_of_many = o->delivery == DELIVERY_DUPLICATE && o->to.count > 1;
	char directory[PATH_MAX];
	struct sender_settings s = {
	    .uris = o->to.items + i,
	    .uri_count = is_one_of_many ? 1 : o->to.count,
	    .failover_after_ns = o->failover_after_ns,
	    .tls = tls_of(o),
	    .queue_bytes = o->queue_bytes,
	    .spool_directory = o->spool,
	    .spool_bytes = o->spool_bytes,
	    .user = o->shared.user,
	    .may_wait = !options_is_live(o),
	    .is_plain = !o->acknowledge,
	    .only_delivers = o->deliver_only,
	    .is_stopping = signals_stop_asked,
	    .retry_min_ns = RETRY_MIN_NS,
	    .retry_max_ns = RETRY_MAX_NS,
	    .give_up_ns = o->give_up_ns,
	    .refresh_messages = o->refresh_messages,
	    .refresh_ns = o->refresh_ns,
	};

	if (o->spool != NULL && is_one_of_many) {
		if (snprintf(directory, sizeof directory, "%s/%u", o->spool, i + 1) >=
		    (int)sizeof directory) {
			return err_set(
			    e, -ENAMETOOLONG, "--spool: %s is too long", o->spool);
		}
		s.spool_directory = directory;
	}
	r->deliveries[i].to = is_one_of_many ? o->to.items[i] : o->to.items[0];
	return sender_new(&s, preamble, &r->senders[i], e);
}

/* Creates the directory of several spools as the user who owns it. */
static int
make_directory(const struct options *o, struct err *e)
{
	int rc = o->shared.user == NULL ? 0 : privileges_lower(o->shared.user, e);

	if (rc == 0) {
		(void)mkdir(o->spool, 0700); /* opening a spool in it reports errors */
	}
	return rc == 0 && o->shared.user != NULL ? privileges_raise(e) : rc;
}

/* Spools are numbered by the position of their collector in --to; a spool's messages
 * are for the collector that was at this position. */
static int
check_order(const struct options *o, struct err *e)
{
	char inner[PATH_MAX];
	struct transport_uri uri;
	struct spool_counts c;

	for (unsigned i = 0; i < o->to.count; i++) {
		const char *to = o->to.items[i];
		if (snprintf(inner, sizeof inner, "%s/%u", o->spool, i + 1) >=
			(int)sizeof inner ||
		    !spool_is_there(inner) || spool_status(inner, &c, e) < 0 ||
		    schemes_parse_uri(to, &uri, e) < 0) {
			continue; /* opening it creates it or reports the error */
		}
		if (c.held_messages > 0 && c.target != 0 &&
		    c.target != sender_target_key(&uri)) {
			return err_set(e, -EINVAL,
			    "%s holds %" PRIu64 " records for a collector other than "
			    "%s (or for the same one under another name): give --to "
			    "in the order of that run, or first deliver them with "
			    "flowpair-exporter --deliver-only --spool %s --to URI",
			    inner, c.held_records, to, inner);
		}
	}
	return 0;
}

static void
tell_left_behind(const char *directory)
{
	struct spool_counts c;
	struct err e = {0};

	if (spool_status(directory, &c, &e) < 0) {
		log_warning("%s", e.text);
	} else if (c.held_messages > 0) {
		log_warning("%s holds %" PRIu64 " records of runs with other --to or "
			    "--delivery; this run does not send them "
			    "(flowpair-exporter --deliver-only --spool %s --to URI "
			    "does)",
		    directory, c.held_records, directory);
	}
}

/* One sender has DIR, several have DIR/1 to DIR/n. */
static void
tell_of_other_spools(const char *directory, unsigned n)
{
	char inner[PATH_MAX];

	if (n > 1 && spool_is_there(directory)) {
		tell_left_behind(directory);
	}
	for (unsigned i = n > 1 ? n + 1 : 1;; i++) {
		if (snprintf(inner, sizeof inner, "%s/%u", directory, i) >=
			(int)sizeof inner ||
		    !spool_is_there(inner)) {
			return;
		}
		tell_left_behind(inner);
	}
}

int
run_open_senders(struct run *r, const struct export_preamble *preamble, struct err *e)
{
	const struct options *o = r->o;
	unsigned n = o->delivery == DELIVERY_DUPLICATE ? o->to.count : 1;
	int rc = 0;

	r->senders = calloc(n, sizeof(struct sender *));
	r->deliveries = calloc(n, sizeof *r->deliveries);
	if (r->senders == NULL || r->deliveries == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->sender_count = n;
	if (o->spool != NULL && n > 1) {
		rc = make_directory(o, e);
	}
	if (rc == 0 && o->spool != NULL && n > 1) {
		rc = check_order(o, e);
	}
	for (unsigned i = 0; i < n && rc == 0; i++) {
		rc = open_sender(r, i, preamble, e);
	}
	if (rc == 0 && o->spool != NULL) {
		tell_of_other_spools(o->spool, n);
	}
	return rc;
}

int
run_start_senders(struct run *r, struct err *e)
{
	struct tls_settings tls = tls_of(r->o);
	int rc = reload_start(options_is_secured(r->o) ? &tls : NULL, e);

	for (unsigned i = 0; i < r->sender_count && rc == 0; i++) {
		rc = sender_start(r->senders[i], e);
	}
	return rc;
}

/* A message is finished before the next record is counted, so it holds the records
 * counted since the last message. */
void
run_push(struct run *r, const uint8_t *message, size_t length, uint32_t records)
{
	uint64_t all = export_records(r->export);
	uint32_t data = (uint32_t)(all - r->pushed_records);

	r->pushed_records = all;
	for (unsigned i = 0; i < r->sender_count; i++) {
		sender_push(r->senders[i], message, length, records, data);
	}
}

void
run_hurry(struct run *r)
{
	for (unsigned i = 0; i < r->sender_count; i++) {
		sender_hurry(r->senders[i]);
	}
}

bool
run_is_over(const struct run *r)
{
	for (unsigned i = 0; i < r->sender_count; i++) {
		if (sender_is_over(r->senders[i])) {
			return true;
		}
	}
	return false;
}

static bool
is_same_scheme(const char *a, const char *b)
{
	size_t n = strcspn(a, ":");

	return strncmp(a, b, n + 1) == 0;
}

void
run_tell_twins(struct run *r)
{
	if (r->is_told_twins || r->sender_count < 2) {
		return;
	}
	run_count_senders(r);
	for (unsigned i = 0; i < r->sender_count; i++) {
		const struct summary_delivery *d = &r->deliveries[i];
		for (unsigned j = 0; j < i && d->counts.peer.at.port != 0; j++) {
			const struct summary_delivery *twin = &r->deliveries[j];
			if (!endpoint_is_same(
				&d->counts.peer.at, &twin->counts.peer.at) ||
			    !is_same_scheme(d->to, twin->to)) {
				continue;
			}
			log_warning("%s and %s are the same collector, at %s: with "
				    "--delivery duplicate it counts everything twice; "
				    "give it once",
			    twin->to, d->to, d->counts.peer.text);
			r->is_told_twins = true;
			return;
		}
	}
}

int
run_finish_senders(struct run *r, struct err *e)
{
	int worst = 0;

	for (unsigned i = 0; i < r->sender_count; i++) {
		sender_end(r->senders[i]);
	}
	for (unsigned i = 0; i < r->sender_count; i++) {
		struct err own;
		int rc = sender_finish(r->senders[i], &own);
		if (rc < 0 && worst < 0) {
			log_error("%s", e->text);
		}
		if (rc < 0) {
			*e = own;
			worst = rc;
		}
	}
	run_tell_twins(r);
	return worst;
}

void
run_count_senders(struct run *r)
{
	for (unsigned i = 0; i < r->sender_count; i++) {
		sender_counts(r->senders[i], &r->deliveries[i].counts);
	}
}

void
run_free_senders(struct run *r)
{
	for (unsigned i = 0; i < r->sender_count; i++) {
		sender_free(r->senders[i]);
	}
	free(r->senders);
	free(r->deliveries);
}
