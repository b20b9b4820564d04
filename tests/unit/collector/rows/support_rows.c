#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "collector/schema/schema.h"
#include "tests/unit/collector/rows/support_rows.h"

#define SCALED "scaled."

struct rows rows;

static void
add_field(const struct yaml *y, const struct yaml_node *name)
{
	bool is_scaled = strncmp(name->text, SCALED, strlen(SCALED)) == 0;
	struct yaml_node plain = *name;
	struct err e = {""};
	int field;

	plain.text += is_scaled ? strlen(SCALED) : 0;
	field = layout_field(rows.layout, y, &plain, SIDE_NONE, &e);
	if (field < 0 ||
	    (is_scaled && layout_scaled(rows.layout, y, &plain, &field, &e) < 0)) {
		fail_msg("%s", e.text);
	}
}

void
rows_open(const char *names)
{
	struct yaml *y = NULL;
	struct err e = {""};

	assert_int_equal(
	    schema_record_load("schemas/records/conversation.yaml", &rows.record, &e),
	    0);
	assert_int_equal(
	    layout_new(rows.record, support_elements(), &rows.layout, &e), 0);
	assert_int_equal(yaml_parse("names", names, strlen(names), &y, &e), 0);
	for (unsigned i = 0; i < yaml_root(y)->count; i++) {
		add_field(y, yaml_root(y)->items[i]);
	}
	assert_int_equal(layout_finish(rows.layout, &e), 0);
	rows.intern = intern_new();
	assert_int_equal(batch_init(&rows.batch, rows.layout, rows.intern), 0);
	/* Names of elements live in the registry, those of fields in the record. */
	yaml_unload(y);
}

int
rows_close(void **state)
{
	(void)state;
	plan_free(rows.plan);
	batch_done(&rows.batch);
	intern_free(rows.intern);
	layout_free(rows.layout);
	schema_record_free(rows.record);
	support_templates_free();
	rows = (struct rows){0};
	return 0;
}

struct support_set
rows_addresses(void)
{
	struct support_set s = {.length = 0};

	support_put_address(&s, "10.0.0.1");
	support_put_address(&s, "10.0.0.2");
	return s;
}

int
rows_decode(const char *fields, const struct support_set *s)
{
	const struct template *t = support_template(256, fields);
	size_t at = 0;

	plan_free(rows.plan);
	rows.plan = plan_new(rows.layout, t);
	assert_non_null(rows.plan);
	return plan_decode(rows.plan, s->bytes, s->length, &at, &rows.batch);
}

void
rows_one(const char *names, const char *fields, const uint64_t *values)
{
	const struct template *t;
	struct support_set s = rows_addresses();

	if (rows.layout != NULL) {
		rows_close(NULL);
	}
	rows_open(names);
	t = support_template(256, fields);
	for (unsigned i = 2; i < t->field_count; i++) {
		support_put(&s, values[i - 2], t->fields[i].length);
	}
	assert_int_equal(rows_decode(fields, &s), 1);
}

int
rows_field(const char *name, const char *side)
{
	for (unsigned i = 0; i < rows.layout->count; i++) {
		const struct layout_field *f = &rows.layout->fields[i];
		if (strcmp(f->name, name) == 0 && strcmp(f->side, side) == 0) {
			return (int)i;
		}
	}
	fail_msg("no field %s", name);
	return -1;
}

int64_t
rows_value(const char *name, const char *side, unsigned row)
{
	return batch_values(&rows.batch, rows_field(name, side))[row];
}

double
rows_real(const char *name, const char *side, unsigned row)
{
	int64_t bits = rows_value(name, side, row);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

const char *
rows_text(const char *name, unsigned row)
{
	return intern_text(rows.intern, (uint32_t)rows_value(name, "", row), NULL);
}

const char *
rows_address(const char *name, unsigned row)
{
	static char text[ADDRESS_TEXT];

	address_format(&batch_addresses(&rows.batch, rows_field(name, ""))[row], text);
	return text;
}

bool
rows_is_null(const char *name, const char *side, unsigned group)
{
	return nulls_has(rows.batch.nulls[group], rows_field(name, side));
}
