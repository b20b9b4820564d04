#include "collector/session/sequence.h"

#include <string.h>

static void
remove_gap(struct sequence *s, unsigned i)
{
	s->gap_count--;
	memmove(s->gaps + i, s->gaps + i + 1, (s->gap_count - i) * sizeof s->gaps[0]);
}

static uint64_t
add_gap(struct sequence *s, uint32_t from, uint32_t length)
{
	uint64_t lost = 0;

	if (s->gap_count == SEQUENCE_GAPS) {
		lost = s->gaps[0].length;
		remove_gap(s, 0);
	}
	s->gaps[s->gap_count++] = (struct sequence_gap){
	    .from = from, .length = length, .patience = SEQUENCE_PATIENCE};
	return lost;
}

static uint64_t
age_gaps(struct sequence *s)
{
	uint64_t lost = 0;
	unsigned i = 0;

	while (i < s->gap_count) {
		if (--s->gaps[i].patience == 0) {
			lost += s->gaps[i].length;
			remove_gap(s, i);
		} else {
			i++;
		}
	}
	return lost;
}

/* Takes [number, number + records) out of the gap that holds it. */
static bool
fill_gap(struct sequence *s, uint32_t number, uint32_t records, uint64_t *lost)
{
	for (unsigned i = 0; i < s->gap_count; i++) {
		struct sequence_gap *g = &s->gaps[i];
		uint32_t before = number - g->from, after;
		if (before >= g->length) {
			continue;
		}
		if (records == 0) {
			return true;
		}
		after = g->length - before;
		after = records < after ? after - records : 0;
		g->length = before;
		if (after > 0) {
			struct sequence_gap rest = *g;
			*lost += add_gap(s, number + records, after);
			s->gaps[s->gap_count - 1].patience = rest.patience;
		}
		for (i = 0; i < s->gap_count; i++) {
			if (s->gaps[i].length == 0) {
				remove_gap(s, i);
				break;
			}
		}
		return true;
	}
	return false;
}

/* A number from the past that fills no gap: a duplicate, or an exporter that restarted.
 * Two consecutive ones are a restart. */
static void
take_late(struct sequence *s, const struct sequence_step *m, struct sequence_result *r)
{
	if (!m->can_reorder ||
	    (s->has_late && m->number == s->late_next && m->records > 0)) {
		r->lost += sequence_end(s);
		s->expected = m->number + m->records;
		s->has_late = false;
		return;
	}
	s->has_late = true;
	s->late_next = m->number + m->records;
	r->is_late = true;
}

void
sequence_message(
    struct sequence *s, const struct sequence_step *m, struct sequence_result *ret)
{
	struct sequence_result r = {0};
	int32_t step = (int32_t)(m->number - s->expected);

	if (s->gap_count > 0) {
		r.lost += age_gaps(s);
	}
	if (!s->is_known || (s->is_uncertain && step > 0)) {
		step = 0;
	}
	if (step > 0) {
		if (m->can_reorder) {
			r.lost += add_gap(s, s->expected, (uint32_t)step);
		} else {
			r.lost += (uint32_t)step;
		}
	}
	if (step >= 0) {
		s->expected = m->number + m->records;
		s->is_known = true;
		s->is_uncertain = !m->is_certain;
		s->has_late = false;
	} else if (fill_gap(s, m->number, m->records, &r.lost)) {
		r.is_late = true;
	} else {
		take_late(s, m, &r);
		s->is_uncertain = s->is_uncertain || !m->is_certain;
	}
	*ret = r;
}

uint64_t
sequence_end(struct sequence *s)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < s->gap_count; i++) {
		lost += s->gaps[i].length;
	}
	s->gap_count = 0;
	return lost;
}
