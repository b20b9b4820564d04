#include "collector/tables/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/protocol/record_span.h"
#include "collector/tables/tables_private.h"

/* A record's place in its source: a message's position and the number of the record in
 * it.  A record has a byte at least, so places never meet those of the next message. */
static int64_t
place_of(struct tables *t, uint64_t position)
{
	if (position != t->last_position) {
		t->last_position = position;
		t->last_index = 0;
	}
	return (int64_t)position + t->last_index;
}

/* Hands a decoded batch to the tables of its source. */
static void
add_batch(struct tables *t, struct tables_source *s, const struct origin *o,
    int64_t place, bool is_one_way)
{
	int64_t filed[BATCH_ROWS];
	int64_t arrival =
	    o->arrival_ns < INT64_MAX ? (int64_t)o->arrival_ns : INT64_MAX;
	struct table_moment m = {.arrival_ns = arrival,
	    .is_live = o->is_live,
	    .filed_ns = filed,
	    .place = place};
	struct table_bounds bounds = {
	    .lateness_ns = o->is_proved ? INT64_MAX : t->settings.lateness_ns,
	    .skew_ns = t->settings.skew_ns};
	struct table_filed counts;

	counts = table_file_times(&s->batch, &m, bounds, filed);
	t->counts.late += counts.late;
	t->counts.early += counts.early;
	t->counts.undated += counts.undated;
	for (unsigned i = 0; i < s->table_count; i++) {
		table_add(s->tables[i], &s->batch, &m);
	}
	if (s->stitch_count > 0) {
		tables_stitch_add(s, &m, is_one_way);
	}
}

static void
count_drops(const struct origin *o, enum drop why, uint64_t n)
{
	if (o->dropped != NULL) {
		o->dropped[why] += n;
	}
}

/* A set on its way into the tables. */
struct passage {
	struct tables *tables;
	struct cursor set;
	const struct origin *origin;
	int records; /* of it, whatever source they were decoded for last */
};

static int
add_source(struct passage *x, struct tables_source *s, const struct plan *p)
{
	const struct origin *o = x->origin;
	struct intern *intern = x->tables->intern;
	int64_t place = place_of(x->tables, o->position);
	size_t at = 0;
	int n;

	s->batch.exporter = intern_add(intern, o->exporter, strlen(o->exporter));
	s->batch.domain = o->domain;
	s->batch.clock = o->clock;
	s->batch.sampling = o->sampling;
	s->batch.lists.templates = o->templates;
	s->batch.lists.oldest_ns = o->templates_since_ns;
	s->batch.lists.counts = (struct structured_data_counts){0};
	s->batch.no_memory = 0;
	x->records = 0;
	for (;;) {
		n = plan_decode(p, x->set.at, cursor_left(&x->set), &at, &s->batch);
		if (n <= 0) {
			break;
		}
		if (plan_is_usable(p)) {
			add_batch(
			    x->tables, s, o, place + x->records, plan_is_one_way(p));
		}
		x->records += n;
	}
	count_drops(o, DROP_BAD_LIST, s->batch.lists.counts.malformed);
	count_drops(o, DROP_LIST_TEMPLATE, s->batch.lists.counts.no_template);
	count_drops(o, DROP_LONG_LIST, s->batch.lists.counts.cut);
	count_drops(o, DROP_NO_MEMORY, plan_is_usable(p) ? s->batch.no_memory : 0);
	return n;
}

int
tables_add_set(const struct template *template, const uint8_t *bytes, size_t length,
    const struct origin *o, void *tables)
{
	struct tables *t = tables;
	struct passage x = {.tables = t, .set = cursor_of(bytes, length), .origin = o};
	struct plans *plans = tables_plans(t, (struct template *)template);
	bool is_used = template->is_options;
	int rc = 0;

	if (intern_bytes(t->intern) > TABLES_TEXT_BYTES && tables_are_empty(t)) {
		intern_clear(t->intern);
	}
	for (unsigned i = 0; plans != NULL && i < plans->count; i++) {
		if (plans->items[i] != NULL) {
			rc = add_source(&x, &t->sources[i], plans->items[i]);
			is_used |= plan_is_usable(plans->items[i]);
		}
	}
	/* Where no table wants records, or memory is short, they are counted. */
	if (plans == NULL || plans->count == 0) {
		bool is_whole;
		x.records = (int)record_span_count(template, x.set, &is_whole);
		rc = is_whole ? 0 : -EBADMSG;
	}
	if (plans == NULL) {
		is_used = true;
		count_drops(o, DROP_NO_MEMORY, (uint64_t)x.records);
	}
	t->counts.records += template->is_options ? 0 : (uint64_t)x.records;
	t->counts.unused += is_used ? 0 : (uint64_t)x.records;
	t->last_index += x.records;
	return rc < 0 ? rc : x.records;
}

static int64_t
clipped(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void
fill_exporter(struct tables *t, struct batch *b, const struct session_counts *c)
{
	const struct session_identity *id = c->identity;
	struct intern *s = t->intern;
	char text[ADDRESS_TEXT];
	const char *peer = c->via != NULL ? c->via : session_identity_peer(id, text);

	*batch_values(b, EXPORTER_PEER) = intern_add(s, peer, strlen(peer));
	*batch_values(b, EXPORTER_IDENTITY) =
	    intern_add(s, id->identity, strlen(id->identity));
	*batch_values(b, EXPORTER_NAME) =
	    intern_add(s, c->exporter, strlen(c->exporter));
	*batch_values(b, EXPORTER_TRANSPORT) =
	    intern_add(s, id->transport, strlen(id->transport));
	*batch_values(b, EXPORTER_PROTOCOL) =
	    intern_add(s, c->protocol->name, strlen(c->protocol->name));
	*batch_values(b, EXPORTER_DOMAIN) = c->domain;
	*batch_values(b, EXPORTER_FIRST_SEEN) = clipped(c->first_ns);
	*batch_values(b, EXPORTER_LAST_SEEN) = clipped(c->last_ns);
	*batch_values(b, EXPORTER_MESSAGES) = clipped(c->messages);
	*batch_values(b, EXPORTER_OCTETS) = clipped(c->octets);
	*batch_values(b, EXPORTER_TEMPLATES) = clipped(c->templates);
	*batch_values(b, EXPORTER_OPTION_TEMPLATES) = clipped(c->option_templates);
	*batch_values(b, EXPORTER_UNKNOWN) = clipped(c->unknown);
	*batch_values(b, EXPORTER_LAST_ERROR) = intern_add(
	    s, drop_sentence(c->last_drop), strlen(drop_sentence(c->last_drop)));
	*batch_values(b, EXPORTER_RECORDS) = clipped(c->records);
	*batch_values(b, EXPORTER_OPTIONS) = clipped(c->options);
	*batch_values(b, EXPORTER_COUNTER_SAMPLES) = clipped(c->counter_samples);
	*batch_values(b, EXPORTER_LOST) = clipped(c->lost);
	*batch_values(b, EXPORTER_REORDERED) = clipped(c->reordered);
	for (int i = 0; i < DROPS; i++) {
		*batch_values(b, EXPORTER_DROPPED + i) = clipped(c->dropped[i]);
	}
}

int
tables_add_exporter(struct tables *t, const struct session_counts *c)
{
	struct layout_nulls nulls = {{0}};
	struct origin o = {.arrival_ns = c->last_ns};
	uint64_t failures = intern_failures(t->intern);

	if (c->last_drop >= DROPS) {
		nulls_set(&nulls, EXPORTER_LAST_ERROR);
	}
	for (unsigned i = 0; i < t->source_count; i++) {
		struct batch *b = &t->sources[i].batch;
		if (t->sources[i].record != NULL || t->sources[i].layout == NULL) {
			continue;
		}
		fill_exporter(t, b, c);
		if (intern_failures(t->intern) != failures) {
			return -ENOMEM;
		}
		b->count = b->row_count[0] = 1;
		b->row_count[1] = 0;
		b->rows[0][0] = 0;
		b->nulls[0] = b->nulls[1] = &nulls;
		add_batch(t, &t->sources[i], &o, 0, false);
	}
	return 0;
}

bool
tables_have_room(const struct tables *t, size_t records)
{
	uint64_t waiting = tables_stitch_waiting(t);

	/* What waits has room in the tables that it may come to, and a flush does not
	 * make it less. */
	for (unsigned i = 0; i < t->table_count; i++) {
		const struct table *table = t->tables[i];
		uint64_t rows =
		    table->schema->emit_count *
		    (records + (tables_stitch_room(table) > 0 ? waiting : 0));
		if (reduce_count(table->reduce) > 0 &&
		    reduce_count(table->reduce) + rows > reduce_max(table->reduce)) {
			return false;
		}
	}
	return intern_bytes(t->intern) < TABLES_TEXT_BYTES || tables_are_empty(t);
}

bool
tables_are_empty(const struct tables *t)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		if (reduce_count(t->tables[i]->reduce) > 0) {
			return false;
		}
	}
	return tables_stitch_waiting(t) == 0;
}

void
tables_counts(const struct tables *t, struct tables_counts *ret)
{
	*ret = t->counts;
	for (unsigned i = 0; i < t->table_count; i++) {
		ret->rows += t->tables[i]->rows;
		ret->filtered += t->tables[i]->filtered;
		ret->saturated += reduce_saturated(t->tables[i]->reduce);
		ret->dropped += reduce_dropped(t->tables[i]->reduce);
	}
	for (unsigned i = 0; i < t->source_count; i++) {
		ret->saturated += t->sources[i].batch.saturated;
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			struct stitch_counts c;
			stitch_counts(t->sources[i].stitches[k].stitch, &c);
			ret->stitched.rows += c.rows;
			ret->stitched.pairs += c.pairs;
			ret->stitched.alone += c.alone;
			ret->stitched.evicted += c.evicted;
			ret->stitched.waiting += c.waiting;
		}
	}
}
