/* The YAML of a table (or of a record, when it says so) as an operator might have
 * mistyped it.  A table that is taken must have SQL that SQLite takes. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rows/layout.h"
#include "collector/schema/schema.h"
#include "collector/store/ddl.h"
#include "collector/tables/table.h"
#include "common/sqlite/database.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct elements *elements;
static struct schema_record *conversation;

static void
load(void)
{
	struct err e = {""};

	elements = elements_new(ELEMENT_PEN_OWN);
	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0 ||
	    schema_record_load("schemas/records/conversation.yaml", &conversation, &e) <
		0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

/* Complaints have a sentence. */
static void
check_complaint(const struct err *e)
{
	if (e->text[0] == '\0') {
		abort();
	}
}

static void
check_sql(const struct table *t)
{
	struct database *d = NULL;
	struct statement *s = NULL;
	struct err e = {""};
	size_t n = 0;
	char *sql = NULL;
	FILE *out = open_memstream(&sql, &n);

	ddl_table(t, out);
	if (t->schema->view_count == 0) {
		ddl_views(t, out);
	}
	fclose(out);
	if (database_open("memory", DATABASE_MEMORY, &d, &e) < 0 ||
	    database_exec_text(d, sql, &e) < 0) {
		fprintf(stderr, "%s\n%s\n", sql, e.text);
		abort();
	}
	if (t->schema->view_count == 0 &&
	    database_exec(d, &e, "SELECT * FROM \"%s_iso\"", t->schema->name) < 0) {
		fprintf(stderr, "%s\n%s\n", sql, e.text);
		abort();
	}
	statement_free(s);
	database_close(d);
	free(sql);
}

static void
try_table(const uint8_t *bytes, size_t length)
{
	struct schema_table *schema = NULL;
	struct layout *l = NULL;
	struct table *t = NULL;
	struct err e = {""};
	bool is_exporter;

	if (schema_table_parse("fuzz.yaml", bytes, length, &schema, &e) < 0) {
		check_complaint(&e);
		return;
	}
	is_exporter = strcmp(schema->from, "exporter") == 0;
	if (layout_new(is_exporter ? NULL : conversation, elements, &l, &e) < 0 ||
	    table_new(schema, l, &t, &e) < 0 || layout_finish(l, &e) < 0 ||
	    table_start(t, 100, 1, &e) < 0) {
		check_complaint(&e);
	} else {
		check_sql(t);
	}
	table_free(t);
	layout_free(l);
	schema_table_free(schema);
}

static void
try_record(const uint8_t *bytes, size_t length)
{
	struct schema_record *r = NULL;
	struct layout *l = NULL;
	struct err e = {""};

	if (schema_record_parse("fuzz.yaml", bytes, length, &r, &e) < 0) {
		check_complaint(&e);
		return;
	}
	if (layout_new(r, elements, &l, &e) < 0 || layout_finish(l, &e) < 0) {
		check_complaint(&e);
	}
	layout_free(l);
	schema_record_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (elements == NULL) {
		load();
	}
	if (length > 7 && memcmp(bytes, "record:", 7) == 0) {
		try_record(bytes, length);
	} else {
		try_table(bytes, length);
	}
	return 0;
}
