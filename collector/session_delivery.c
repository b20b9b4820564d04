/* Sessions of exporters with a spool: their messages' numbers (common/delivery.h).  A
 * message is counted when its number is new; the watermark is behind it then. */
#include "collector/session_table.h"

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
	}
	if (m == NULL) {
		return false;
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
	if (m->next < d->start) {
		m->next = d->start; /* the spool dropped what is between */
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
	number = session->next_message++;
	if (number < m->next) {
		return false;
	}
	m->next = number + 1;
	return true;
}

void
sessions_skip_message(struct sessions *s, uint32_t session)
{
	struct session *found = sessions_find(s, session);

	if (found != NULL) {
		(void)session_number_message(s, found);
	}
}

bool
sessions_are_numbered(const struct sessions *s, uint32_t session)
{
	const struct session *found = sessions_find(s, session);

	return found != NULL && found->mark != NULL;
}

const struct watermarks *
sessions_watermarks(const struct sessions *s)
{
	return s->marks;
}
