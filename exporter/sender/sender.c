#include "exporter/sender/sender.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/privileges.h"
#include "exporter/sender/sender_private.h"

static bool
may_wait(void *data)
{
	struct sender *s = data;

	if (s->settings.is_stopping == NULL || !s->settings.is_stopping() ||
	    s->settings.give_up_ns == 0) {
		return true;
	}
	if (s->stop_ns == 0) {
		s->stop_ns = clock_monotonic_ns();
	}
	return clock_monotonic_ns() - s->stop_ns < s->settings.give_up_ns;
}

void
sender_push(struct sender *s, const uint8_t *message, size_t length, uint32_t records,
    uint32_t data)
{
	if (!queue_push(s->queue, message, length, records, data)) {
		sender_bump(&s->queue_full_messages, 1);
		sender_bump(&s->queue_full_records, data);
	}
}

/* Making and ending. */

static int
open_outbox(struct sender *s, const struct export_preamble *preamble, struct err *e)
{
	struct spool_settings spool = {
	    .directory = s->settings.spool_directory,
	    .max_bytes = s->settings.spool_bytes,
	    .may_wait = s->settings.may_wait,
	    .preamble = preamble,
	};
	const char *user = spool.directory == NULL ? NULL : s->settings.user;
	int rc = user == NULL ? 0 : privileges_lower(user, e);

	if (rc == 0) {
		rc = outbox_new(&spool, s->settings.queue_bytes, &s->outbox, e);
	}
	if (rc == 0 && user != NULL) {
		rc = privileges_raise(e);
	}
	if (rc == 0) {
		s->queue = outbox_queue(s->outbox);
		queue_set_wait(s->queue, s->settings.may_wait ? may_wait : NULL, s);
		s->spool = outbox_spool(s->outbox);
		/* The caller's strings are borrowed until sender_new() returns. */
		s->settings.spool_directory = spool_directory(s->spool);
		s->settings.uris = NULL;
		spool_counts(s->spool, &s->opened);
		sender_find_target(s);
		sender_publish(s);
	}
	return rc;
}

int
sender_new(const struct sender_settings *settings,
    const struct export_preamble *preamble, struct sender **ret, struct err *e)
{
	struct sender *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->settings = *settings;
	s->is_proven = true; /* so that the first delay is the shortest */
	s->transport.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	rc = sender_open_targets(s, e);
	if (rc == 0) {
		rc = open_outbox(s, preamble, e);
	}
	if (rc == 0) {
		*ret = s;
		s = NULL;
	}
	sender_free(s);
	return rc;
}

/* Signals go to the program's main thread. */
int
sender_start(struct sender *s, struct err *e)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&s->thread, NULL, sender_run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0) {
		return err_set(
		    e, -code, "cannot start the export thread: %s", strerror(code));
	}
	s->is_running = true;
	return 0;
}

/* Counts the messages that the spool did not accept: its disk or its bound was full. */
static void
drop_queued(struct sender *s)
{
	struct queue_message m;
	uint64_t i = queue_end_index(s->queue) - outbox_unstowed_messages(s->outbox);

	for (; i < queue_end_index(s->queue); i++) {
		queue_look(s->queue, i, &m);
		sender_bump(&s->queue_full_messages, 1);
		sender_bump(&s->queue_full_records, m.data);
	}
}

void
sender_end(struct sender *s)
{
	if (!atomic_load(&s->is_finishing)) {
		s->finish_ns = clock_monotonic_ns();
		atomic_store(&s->is_finishing, true);
		queue_wake(s->queue);
	}
}

int
sender_finish(struct sender *s, struct err *e)
{
	if (s->is_running) {
		sender_end(s);
		pthread_join(s->thread, NULL);
		s->is_running = false;
		s->is_finished = true;
		drop_queued(s);
	}
	if (s->result < 0 && e != NULL) {
		*e = s->result_err;
	}
	return s->result;
}

void
sender_hurry(struct sender *s)
{
	queue_hurry(s->queue);
}

bool
sender_is_over(struct sender *s)
{
	return queue_is_over(s->queue);
}

/* Fills in what the spool's counts say about this run. */
static void
count_spool(struct sender *s, struct sender_counts *ret)
{
	const struct spool_counts *now = &ret->spool, *then = &s->opened;

	ret->messages = now->delivered_messages - then->delivered_messages;
	ret->records = now->delivered_records - then->delivered_records;
	ret->held_messages = now->held_messages;
	ret->held_records = now->held_records;
	ret->spool_full_messages =
	    now->lost_messages - then->lost_messages - ret->too_long_messages;
	ret->spool_full_records =
	    now->lost_records - then->lost_records - ret->too_long_records;
	if (s->is_finished && !ret->is_kept) {
		ret->given_up_messages = now->held_messages;
		ret->given_up_records = now->held_records;
		ret->held_messages = ret->held_records = 0;
	}
}

void
sender_counts(struct sender *s, struct sender_counts *ret)
{
	*ret = (struct sender_counts){
	    .sent_messages = atomic_load(&s->sent_messages),
	    .bytes = atomic_load(&s->bytes),
	    .queue_full_messages = atomic_load(&s->queue_full_messages),
	    .queue_full_records = atomic_load(&s->queue_full_records),
	    .duplicate_messages = atomic_load(&s->duplicate_messages),
	    .duplicate_records = atomic_load(&s->duplicate_records),
	    .unconfirmed_records = atomic_load(&s->unconfirmed_records),
	    .connects = atomic_load(&s->connects),
	    .failures = atomic_load(&s->failures),
	    .failovers = atomic_load(&s->failovers),
	    .refreshes = atomic_load(&s->refreshes),
	    .refusals = atomic_load(&s->refusals),
	    .fragmented = atomic_load(&s->fragmented),
	    .queued_bytes = queue_bytes(s->queue),
	    .is_over = queue_is_over(s->queue),
	    .is_kept = s->settings.spool_directory != NULL,
	};
	pthread_mutex_lock(&s->lock);
	ret->too_long_messages = atomic_load(&s->too_long_messages);
	ret->too_long_records = atomic_load(&s->too_long_records);
	ret->spool = s->counts;
	memcpy(ret->last_error, s->last_error, sizeof ret->last_error);
	ret->peer = s->peer;
	pthread_mutex_unlock(&s->lock);
	count_spool(s, ret);
	ret->dropped_messages = ret->queue_full_messages + ret->spool_full_messages +
				ret->too_long_messages + ret->given_up_messages;
	ret->dropped_records = ret->queue_full_records + ret->spool_full_records +
			       ret->too_long_records + ret->given_up_records;
}

void
sender_free(struct sender *s)
{
	if (s == NULL) {
		return;
	}
	if (s->is_running) {
		sender_hurry(s);
		sender_finish(s, NULL);
	}
	sender_hang_up(s);
	outbox_free(s->outbox, s->is_finished);
	for (unsigned i = 0; i < s->target_count; i++) {
		tls_context_free(s->targets[i].tls);
	}
	free(s->targets);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
