#include "collector/run/run_explain.h"

#include "collector/store/ddl.h"
#include "collector/tables/tables_private.h"
#include "common/base/clock.h"

/* "sourceAddress", "forward.packets" */
static void
write_field_name(const struct layout_field *f, FILE *out)
{
	fprintf(out, "%s%s%s", f->side, f->side[0] != '\0' ? "." : "", f->name);
}

static void
explain_field(const struct layout *l, const struct layout_field *f, FILE *out)
{
	static const char *const computed[] = {
	    [SOURCE_FLOWS] = "deltaFlowCount, else 1",
	    [SOURCE_DURATION] = "end - start",
	    [SOURCE_EXPORTER] = "name of the exporter",
	    [SOURCE_DOMAIN] = "from the message header",
	    [SOURCE_SCALED] = "times the sampling rate",
	    [SOURCE_RATE] = "packets per sampled packet",
	    [SOURCE_GIVEN] = "session counters"};

	fprintf(
	    out, "  %5zu  %-8s ", f->offset / BATCH_ROWS, layout_kind_name(f->kind));
	write_field_name(f, out);
	fputs("  <- ", out);
	for (unsigned i = 0; i < f->from_count; i++) {
		fprintf(out, "%s%s", i > 0 ? ", " : "", f->from[i]->name);
	}
	if (f->source != SOURCE_ELEMENTS) {
		fputs(computed[f->source], out);
	}
	if (f->has_one_way) {
		fprintf(out, ", one-way %lld", (long long)f->one_way);
	}
	if (f->partner >= 0) {
		fputs("  <-> ", out);
		write_field_name(&l->fields[f->partner], out);
	}
	fputc('\n', out);
}

static void
explain_column(const struct table *t, const struct table_column *c, FILE *out)
{
	fprintf(out, "  %-9s %-8s %s", schema_role_name(c->role),
	    table_kind_name(c->kind), c->name);
	if (c->role == ROLE_COMPUTED) {
		fputs("  <- ", out);
		ddl_expression(t, c, out);
	}
	for (unsigned i = 0; c->role != ROLE_COMPUTED && i < t->schema->emit_count;
	     i++) {
		fputs(i == 0 ? "  <- " : " or ", out);
		write_field_name(&t->layout->fields[c->fields[i]], out);
	}
	fputc('\n', out);
}

static void
explain_table(const struct table *t, const struct derive *d, FILE *out)
{
	fprintf(out,
	    "table %s: storage %s, partition %s, version %llu, key %u bytes, entry %zu "
	    "bytes, at most %llu in memory\n",
	    t->schema->name, schema_storage_name(t->schema->storage),
	    schema_partition_name(t->schema->partition),
	    (unsigned long long)t->schema->version, t->shape.key_length, t->shape.entry,
	    (unsigned long long)reduce_max(t->reduce));
	if (t->schema->stitch_node != NULL) {
		fprintf(out,
		    "  one-way flows in opposite directions that start within %.12g s "
		    "become one record; at most %llu wait\n",
		    (double)t->schema->stitch_ns / (double)NS_PER_SECOND,
		    (unsigned long long)t->schema->max_waiting);
	}
	if (d != NULL) {
		fprintf(out, "  made from %s at flush\n", d->base->schema->name);
	}
	for (unsigned i = 0; i < t->column_count; i++) {
		explain_column(t, &t->columns[i], out);
	}
	fputc('\n', out);
	ddl_table(t, out);
	ddl_views(t, out);
	fputc('\n', out);
}

void
run_explain_tables(const struct tables *t, FILE *out)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		const struct tables_source *s = &t->sources[i];
		if (s->layout == NULL) {
			continue;
		}
		fprintf(out, "record %s: %u fields, %zu bytes a row\n",
		    s->record != NULL ? s->record->name : "exporter", s->layout->count,
		    s->layout->bytes / BATCH_ROWS);
		for (unsigned k = 0; k < s->layout->count; k++) {
			explain_field(s->layout, &s->layout->fields[k], out);
		}
		fputc('\n', out);
	}
	for (unsigned i = 0; i < t->table_count; i++) {
		explain_table(t->tables[i], t->derives[i], out);
	}
}
