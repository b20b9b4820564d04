#include "exporter/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "exporter/sender_state.h"

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
sender_push(struct sender *s, const uint8_t *message, size_t length, uint32_t records)
{
	if (!queue_push(s->queue, message, length, records,
		s->settings.may_wait ? may_wait : NULL, s)) {
		sender_bump(&s->dropped_messages, 1);
		sender_bump(&s->dropped_records, records);
	}
}

/* Making and ending. */

static int
open_target(struct sender *s, struct err *e)
{
	int rc = transport_parse_uri(s->settings.uri, &s->uri, e);

	if (rc == 0) {
		rc = transport_check_target(&s->uri, e);
	}
	if (rc == 0 && s->uri.ops->is_secure) {
		rc = tls_context_new(&s->settings.tls, false, &s->tls, e);
	}
	if (rc == 0 && s->uri.ops->is_file) {
		rc = s->uri.ops->dial(&s->transport, &s->uri, NULL, e);
		s->is_dialled = rc == 0;
	}
	return rc;
}

/* Signals are for the program's main thread. */
static int
start_thread(struct sender *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, sender_run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->is_running = rc == 0;
	return -rc;
}

static int
copy_preamble(struct sender *s, const struct export_preamble *preamble)
{
	s->preamble = malloc(preamble->length + 1);
	if (s->preamble == NULL) {
		return -ENOMEM;
	}
	memcpy(s->preamble, preamble->bytes, preamble->length);
	s->preamble_length = preamble->length;
	s->preamble_records = preamble->records;
	return 0;
}

int
sender_new(const struct sender_settings *settings,
    const struct export_preamble *preamble, struct sender **ret, struct err *e)
{
	struct sender *s = calloc(1, sizeof *s);
	int rc = -ENOMEM;

	if (s == NULL) {
		return err_set(e, rc, "no memory for the export thread");
	}
	s->settings = *settings;
	s->is_proven = true; /* so the first delay is the least */
	s->transport.fd = -1;
	pthread_mutex_init(&s->error_lock, NULL);
	rc = open_target(s, e);
	if (rc < 0) {
		goto out;
	}
	rc = copy_preamble(s, preamble);
	if (rc == 0) {
		s->queue = queue_new(settings->queue_bytes);
		rc = s->queue == NULL ? -errno : start_thread(s);
	}
	if (rc < 0) {
		err_set(e, rc,
		    "cannot start the export thread with a queue of %" PRIu64
		    " bytes: %s",
		    settings->queue_bytes, strerror(-rc));
		goto out;
	}
	*ret = s;
	s = NULL;
out:
	sender_free(s);
	return rc;
}

int
sender_finish(struct sender *s, struct err *e)
{
	struct queue_taken dropped = {0};

	if (s->is_running) {
		s->finish_ns = clock_monotonic_ns();
		atomic_store(&s->is_finishing, true);
		queue_wake(s->queue);
		pthread_join(s->thread, NULL);
		s->is_running = false;
		queue_drop(s->queue, &dropped);
		sender_bump(&s->dropped_messages, dropped.messages);
		sender_bump(&s->dropped_records, dropped.records);
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

void
sender_counts(struct sender *s, struct sender_counts *ret)
{
	*ret = (struct sender_counts){
	    .messages = atomic_load(&s->messages),
	    .bytes = atomic_load(&s->bytes),
	    .records = atomic_load(&s->records),
	    .dropped_messages = atomic_load(&s->dropped_messages),
	    .dropped_records = atomic_load(&s->dropped_records),
	    .too_long_messages = atomic_load(&s->too_long_messages),
	    .connects = atomic_load(&s->connects),
	    .failures = atomic_load(&s->failures),
	    .queued_bytes = queue_bytes(s->queue),
	    .is_over = queue_is_over(s->queue),
	};
	pthread_mutex_lock(&s->error_lock);
	memcpy(ret->last_error, s->last_error, sizeof ret->last_error);
	pthread_mutex_unlock(&s->error_lock);
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
	queue_free(s->queue);
	tls_context_free(s->tls);
	pthread_mutex_destroy(&s->error_lock);
	free(s->preamble);
	free(s);
}
