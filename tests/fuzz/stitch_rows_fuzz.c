/* Rows that wait, as a store has them: what can be read waits, goes out as often as it
 * went in, and is the same when it is written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rows/layout.h"
#include "collector/tables/stitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct elements *elements;
static struct schema_record *record;
static struct layout *layout;
static const struct stitch_settings settings = {
    .window_ns = 1000000000, .max_waiting = 1000, .seed = 1};

static void
load(void)
{
	static const char *const own[] = {
	    "flowStart", "flowEnd", "exporter", "flows", "forward", "reverse"};
	static const char *const others[] = {
	    "interfaceName", "sourceMacAddress", "samplingProbability", "basicList"};
	struct err e = {""};
	int rc = 0;

	elements = elements_new(ELEMENT_PEN_OWN);
	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0 ||
	    schema_record_load("schemas/records/conversation.yaml", &record, &e) < 0 ||
	    layout_new(record, elements, &layout, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
		(void)layout_add_named(layout, own[i], &e); /* not all are fields */
	}
	for (unsigned i = 0; rc >= 0 && i < sizeof others / sizeof *others; i++) {
		rc = layout_add_named(layout, others[i], &e);
	}
	if (rc < 0 || stitch_declare(layout, &e) < 0 || layout_finish(layout, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

static void
count_rows(const struct batch *b, const struct table_moment *m, void *data)
{
	uint64_t *rows = data;

	*rows += b->row_count[0];
	if (b->row_count[1] != 0 || m->places == NULL) {
		abort();
	}
}

/* Everything that waits in s, in one piece: nothing is longer than it came. */
static uint8_t *
write_all(
    const struct stitch *s, const struct intern *texts, size_t came, size_t *ret_length)
{
	size_t room = stitch_rows_room(s) + came;
	uint8_t *bytes = malloc(room);
	struct write_cursor out = write_cursor_of(bytes, room);
	uint64_t next = 0;

	if (stitch_write_rows(s, texts, &next, &out) != stitch_waiting(s) ||
	    out.failed) {
		abort();
	}
	*ret_length = stitch_waiting(s) == 0 ? 0 : cursor_written(&out);
	return bytes;
}

static void
keep_texts(struct stitch *s, struct intern *texts)
{
	uint32_t *marks = calloc(intern_count(texts), sizeof *marks);

	stitch_mark_texts(s, marks);
	intern_keep(texts, marks);
	stitch_renumber_texts(s, marks);
	free(marks);
}

static void
compare(struct stitch *s, struct intern *texts, size_t came)
{
	struct intern *other_texts = intern_new();
	uint64_t rows = 0;
	struct stitch *other = stitch_new(layout, &settings, count_rows, &rows);
	size_t length, other_length;
	uint8_t *bytes, *other_bytes;

	keep_texts(s, texts);
	bytes = write_all(s, texts, came, &length);
	if (length > 0 && stitch_read_rows(other, other_texts, bytes, length) < 0) {
		abort();
	}
	other_bytes = write_all(other, other_texts, came, &other_length);
	if (rows != 0 || length != other_length ||
	    memcmp(bytes, other_bytes, length) != 0) {
		abort();
	}
	free(bytes);
	free(other_bytes);
	stitch_free(other);
	intern_free(other_texts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *exact = malloc(length + 1);
	struct intern *texts = intern_new();
	struct stitch_counts c;
	struct stitch *s;
	uint64_t rows = 0, alone;

	if (layout == NULL) {
		load();
	}
	memcpy(exact, bytes, length);
	exact = realloc(exact, length > 0 ? length : 1);
	s = stitch_new(layout, &settings, count_rows, &rows);
	(void)stitch_read_rows(s, texts, exact, length);
	stitch_counts(s, &c);
	alone = rows - c.evicted; /* those without ends or start */
	if (c.rows != c.evicted + c.waiting) {
		abort();
	}
	compare(s, texts, length);
	stitch_finish(s);
	if (rows != alone + c.rows) {
		abort();
	}
	stitch_free(s);
	intern_free(texts);
	free(exact);
	return 0;
}
