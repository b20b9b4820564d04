/* The parts that a spool holds messages in: in memory, or a segment on disk. */
#include <errno.h>
#include <stdlib.h>

#include "exporter/spool/spool_private.h"

int
spool_add_part(struct spool *s, const struct spool_part *p)
{
	if (s->count == s->capacity) {
		unsigned capacity = 2 * s->capacity + 16;
		struct spool_part *parts =
		    reallocarray(s->parts, capacity, sizeof *parts);
		if (parts == NULL) {
			return -ENOMEM;
		}
		s->parts = parts;
		s->capacity = capacity;
	}
	s->parts[s->count++] = *p;
	s->held_messages += p->next - p->first;
	s->held_records += p->total_next - p->total_first;
	s->bytes += p->bytes;
	return 0;
}

bool
spool_is_written(const struct spool *s, unsigned i)
{
	return s->write_fd >= 0 && i + 1 == s->count;
}
struct spool_part *
spool_find(const struct spool *s, uint64_t number)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (number >= s->parts[i].first && number < s->parts[i].next) {
			return &s->parts[i];
		}
	}
	return NULL;
}
void
spool_mark(struct spool_part *p, uint64_t number, uint64_t total, uint64_t offset)
{
	struct spool_mark *last =
	    p->mark_count > 0 ? &p->marks[p->mark_count - 1] : NULL;

	if (last != NULL && offset - last->offset < SPOOL_MARK_STEP) {
		return;
	}
	if (p->mark_count == p->mark_capacity) {
		unsigned capacity = 2 * p->mark_capacity + 16;
		struct spool_mark *marks =
		    reallocarray(p->marks, capacity, sizeof *marks);
		if (marks == NULL) {
			return; /* reading starts from an earlier mark */
		}
		p->marks = marks;
		p->mark_capacity = capacity;
	}
	p->marks[p->mark_count++] = (struct spool_mark){number, total, offset};
}
