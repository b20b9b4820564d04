#include "tests/unit/collector/protocol/support_set.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/cursor.h"
#include "common/sqlite/database.h"

static struct elements *elements;
static struct templates *templates[256];
static unsigned template_count;

static void
die(const char *what)
{
	fprintf(stderr, "support: %s\n", what);
	abort();
}

static void
free_elements(void)
{
	elements_free(elements);
}

struct elements *
support_elements(void)
{
	struct err e = {""};

	if (elements == NULL) {
		elements = elements_new(ELEMENT_PEN_OWN);
		if (elements == NULL ||
		    elements_read_xml(elements, "schemas/elements.xml", &e) < 0) {
			die(e.text);
		}
		atexit(free_elements);
	}
	return elements;
}

struct template *
support_template(uint16_t id, const char *fields)
{
	struct template_counts counts = {0};
	struct support_set s = {.length = 0};
	char *copy = strdup(fields), *save = NULL;
	uint16_t n = 0;

	support_put(&s, id, 2);
	support_put(&s, 0, 2);
	for (char *f = strtok_r(copy, " ", &save); f != NULL;
	     f = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(f, ':');
		const struct element *element;
		uint16_t length;
		if (colon != NULL) {
			*colon = '\0';
		}
		element = elements_find_name(support_elements(), f);
		if (element == NULL) {
			die(f);
		}
		length = colon == NULL     ? element->length
			 : colon[1] == 'v' ? ELEMENT_VARIABLE
					   : (uint16_t)atoi(colon + 1);
		support_put(&s, element->id | (element->pen != 0 ? 0x8000 : 0), 2);
		support_put(&s, length, 2);
		if (element->pen != 0) {
			support_put(&s, element->pen, 4);
		}
		n++;
	}
	free(copy);
	store_u16(s.bytes + 2, n);
	if (template_count == 256) {
		die("too many templates");
	}
	templates[template_count] = templates_new(16, 256);
	templates_read_set(templates[template_count], support_elements(),
	    TEMPLATE_SET_ID, cursor_of(s.bytes, s.length), true, &counts);
	if (counts.added != 1) {
		die("template was not taken");
	}
	return templates_find(templates[template_count++], id);
}

void
support_templates_free(void)
{
	while (template_count > 0) {
		templates_free(templates[--template_count]);
	}
}

void
support_put(struct support_set *s, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		s->bytes[s->length++] = (uint8_t)(v >> (8 * (n - 1 - i)));
	}
}

void
support_put_each(
    struct support_set *s, unsigned n, const uint64_t *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		support_put(s, values[i], n);
	}
}

void
support_put_bytes(struct support_set *s, const void *bytes, size_t n)
{
	memcpy(s->bytes + s->length, bytes, n);
	s->length += n;
}

void
support_put_address(struct support_set *s, const char *text)
{
	struct address a;

	if (address_parse(text, &a) < 0) {
		die(text);
	}
	if (address_is_ipv4(&a)) {
		support_put_bytes(s, a.bytes + 12, 4);
	} else {
		support_put_bytes(s, a.bytes, 16);
	}
}

const char *
support_schemas(void)
{
	const char *directory = support_directory();
	char command[128];

	snprintf(command, sizeof command, "cp -r schemas/records '%s'", directory);
	if (system(command) != 0) {
		die(command);
	}
	return directory;
}

struct tables *
support_tables_within(const char *const *names, size_t plan_bytes)
{
	struct tables_settings s = {.schema_directory = "schemas",
	    .names = names,
	    .plan_bytes = plan_bytes,
	    .lateness_ns = 86400ULL * 1000000000 * 2,
	    .skew_ns = 3600ULL * 1000000000,
	    .max_keys = 100000};
	struct tables *t = NULL;
	struct err e = {""};

	while (names != NULL && names[s.name_count] != NULL) {
		s.name_count++;
	}
	if (tables_new(&s, support_elements(), &t, &e) < 0) {
		die(e.text);
	}
	return t;
}

struct tables *
support_tables(const char *const *names)
{
	return support_tables_within(names, 0);
}

const char *
support_query(const char *dir, const char *file, const char *sql)
{
	static char text[65536];
	struct database *d = NULL;
	struct statement *s = NULL;
	struct err e = {""};
	char path[512];
	size_t n = 0;
	int rc;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	text[0] = '\0';
	if (database_open(path, DATABASE_READ, &d, &e) < 0 ||
	    statement_new(d, sql, &s, &e) < 0) {
		die(e.text);
	}
	while ((rc = statement_step(s, &e)) > 0) {
		for (int i = 0; i < statement_columns(s); i++) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
			    i > 0   ? "|"
			    : n > 0 ? ";"
				    : "",
			    statement_type(s, i) == DATABASE_NULL
				? "NULL"
				: statement_text(s, i));
		}
	}
	if (rc < 0) {
		die(e.text);
	}
	statement_free(s);
	database_close(d);
	return text;
}
