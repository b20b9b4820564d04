/* Sessions of exporters with a spool: their messages' numbers (common/ipfix/delivery.h).
 *
 * A message is counted when its spool's watermark waits for its number, as it nearly
 * always does.  After a failed sync the listener goes back to the number that was
 * durable.  Then messages that were counted come again, with lesser numbers.  Or the
 * disk lost some and a crash followed: frames after the gap have greater numbers, and
 * all of it comes again. */
#include "collector/session/session_private.h"

bool
session_attach_spool(struct sessions *s, struct session *session)
{
	const struct session_delivery *d = &session->identity.delivery;
	struct watermark *m;

	if (!d->is_on) {
		return true;
	}
	m = watermarks_find(s->marks, session->identity.identity, d->spool);
	if (m == NULL) {
		m = watermarks_restore(
		    s->marks, session->identity.identity, d->spool, s->now_ns);
		if (m == NULL) {
			return false;
		}
		/* Forgotten here, but not at the listener: what comes before is in the
		 * journal. */
		m->next = d->start;
	}
	m->holders++;
	session->mark = m;
	session->next_message = d->start;
	session->preamble_left = d->preamble;
	return true;
}

void
session_begin_spool(struct sessions *s, struct session *session)
{
	const struct session_delivery *d = &session->identity.delivery;
	struct watermark *m = session->mark;

	if (m == NULL) {
		return;
	}
	m->seen_ns = s->now_ns;
	if (m->next < d->first) {
		m->next = d->first; /* the spool dropped what is between */
	}
	if (m->lost_records < d->lost_records) {
		session->lost_in_spool = d->lost_records - m->lost_records;
		m->lost_records = d->lost_records;
	}
	if (m->lost_messages < d->lost_messages) {
		m->lost_messages = d->lost_messages;
	}
}

void
session_leave_spool(struct sessions *s, struct session *session)
{
	if (session->mark != NULL) {
		session->mark->seen_ns = s->now_ns;
		session->mark->holders--;
		session->mark = NULL;
	}
}

bool
session_number_message(struct sessions *s, struct session *session)
{
	struct watermark *m = session->mark;
	uint64_t number;

	if (m == NULL) {
		return true;
	}
	m->seen_ns = s->now_ns;
	if (session->preamble_left > 0) {
		session->preamble_left--;
		return true;
	}
	/* Beyond the watermark: a failed sync lost one before it.  Both come again. */
	number = session->next_message++;
	if (number != m->next || session->is_broken_off) {
		return false;
	}
	m->next = number + 1;
	return true;
}

void
sessions_break_off(struct sessions *s)
{
	for (unsigned i = 0; i <= s->bucket_mask; i++) {
		struct session *session = s->buckets[i];
		for (; session != NULL; session = session->next) {
			session->is_broken_off = session->mark != NULL;
		}
	}
}

const struct watermarks *
sessions_watermarks(const struct sessions *s)
{
	return s->marks;
}
