/* Plans of templates: made when data comes, and kept in memory that is bounded whatever
 * peers define.  The least recently used ones go first and are made again when needed,
 * which costs only time. */
#include <stdlib.h>

#include "collector/protocol/reader.h"
#include "collector/tables/tables_private.h"

#define PLAN_BYTES ((size_t)256 << 20)

static void
take_out(struct tables *t, struct plans *s)
{
	*(s->newer != NULL ? &s->newer->older : &t->newest_plans) = s->older;
	*(s->older != NULL ? &s->older->newer : &t->oldest_plans) = s->newer;
}

static void
put_first(struct tables *t, struct plans *s)
{
	s->newer = NULL;
	s->older = t->newest_plans;
	*(s->older != NULL ? &s->older->newer : &t->oldest_plans) = s;
	t->newest_plans = s;
}

static void
plans_free(struct plans *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		plan_free(s->items[i]);
	}
	free(s);
}

/* Its template goes. */
static void
plans_drop(void *data)
{
	struct plans *s = data;

	take_out(s->tables, s);
	s->tables->plan_bytes -= s->bytes;
	plans_free(s);
}

static void
drop_oldest(struct tables *t)
{
	struct plans *s = t->oldest_plans;

	s->reader->plans = NULL;
	plans_drop(s);
}

static struct plans *
plans_new(struct tables *t, const struct template *template)
{
	struct plans *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->tables = t;
	s->bytes = sizeof *s;
	for (unsigned i = 0; i < t->source_count; i++) {
		if (t->sources[i].record == NULL || t->sources[i].layout == NULL) {
			continue;
		}
		s->items[i] = plan_new(t->sources[i].layout, template);
		s->count = i + 1;
		if (s->items[i] == NULL) {
			plans_free(s);
			return NULL;
		}
		s->bytes += plan_bytes(s->items[i]);
	}
	return s;
}

struct plans *
tables_plans(struct tables *t, struct template *template)
{
	size_t most = t->settings.plan_bytes > 0 ? t->settings.plan_bytes : PLAN_BYTES;
	struct reader *reader = reader_of(template);
	struct plans *s = reader != NULL ? reader->plans : NULL;

	if (s != NULL) {
		/* With much room left, their order is not worth the memory that it
		 * takes to touch. */
		if (t->plan_bytes > most / 2 && t->newest_plans != s) {
			take_out(t, s);
			put_first(t, s);
		}
		return s;
	}
	s = reader != NULL ? plans_new(t, template) : NULL;
	if (s == NULL) {
		return NULL;
	}
	s->reader = reader;
	reader->plans = s;
	reader->plans_free = plans_drop;
	put_first(t, s);
	t->plan_bytes += s->bytes;
	while (t->plan_bytes > most && t->oldest_plans != s) {
		drop_oldest(t);
	}
	return s;
}

void
tables_plans_done(struct tables *t)
{
	while (t->oldest_plans != NULL) {
		drop_oldest(t);
	}
}

size_t
tables_plan_bytes(const struct tables *t)
{
	return t->plan_bytes;
}
