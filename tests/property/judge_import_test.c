/* libfixbuf as an independent writer of what the collector reads: messages with random
 * templates (any element, reduced lengths, variable lengths, options) go through
 * sessions and compiled plans, and every value must come out as it went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rows/intern.h"
#include "collector/rows/layout.h"
#include "collector/rows/normalise.h"
#include "collector/session/session.h"
#include "common/base/clock.h"
#include "common/config/yaml.h"
#include "common/ipfix/message.h"
#include "tests/unit/collector/session/support_message.h"

#define SESSIONS      40
#define TEMPLATES     6   /* of a session */
#define MAX_FIELDS    30  /* of a template */
#define MAX_RECORDS   40  /* in a row with one template */
#define COLUMNS       110 /* the layout adds the reverse of each */
#define TEXT_MAX      300
#define FIRST_ID      400
#define MESSAGE_BYTES 8192

static uint64_t random_state;

static uint64_t
random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned
random_below(unsigned n)
{
	return (unsigned)(random_u64() % n);
}

/* What a value is before and after its journey. */
struct value {
	uint64_t number; /* integers, bits of floats; times: ns */
	uint8_t bytes[TEXT_MAX];
	size_t length;
};

struct field {
	const struct element *element;
	uint16_t length; /* on the wire */
	int column;
};

struct shape { /* one template */
	struct field fields[MAX_FIELDS];
	unsigned count;
	bool is_options;
};

static struct {
	struct elements *elements;
	struct schema_record *record;
	struct yaml *names;
	struct layout *layout;
	struct intern *intern;
	struct batch batch;
	const struct element *elements_of[COLUMNS];
	unsigned columns;

	struct shape shapes[TEMPLATES];
	struct value sent[TEMPLATES * MAX_RECORDS][MAX_FIELDS]; /* in order */
	unsigned sent_shape[TEMPLATES * MAX_RECORDS];
	unsigned sent_count, received;
	struct session_counts counts;
} judge;

static bool
is_integer(const struct element *x)
{
	return x->type >= ELEMENT_U8 && x->type <= ELEMENT_I64;
}

static bool
is_signed(const struct element *x)
{
	return x->type >= ELEMENT_I8 && x->type <= ELEMENT_I64;
}

static bool
is_text(const struct element *x)
{
	return x->type == ELEMENT_STRING || x->type == ELEMENT_OCTETS;
}

/* Everything that tables can hold and that has no meaning of its own when rows are
 * made: directions swap, padding vanishes. */
static bool
is_wanted(const struct element *x)
{
	return x->type <= ELEMENT_IPV6 && x->pen != ELEMENT_PEN_REVERSE &&
	       strcmp(x->name, "biflowDirection") != 0 &&
	       strcmp(x->name, "paddingOctets") != 0;
}

static void
make_layout(void)
{
	struct err e = {""};
	char text[COLUMNS * 64];
	size_t n = 0;
	size_t total = elements_count(judge.elements);
	size_t stride = 7919; /* a prime: some of everything */
	for (size_t i = 0; i < total && judge.columns < COLUMNS; i++) {
		const struct element *x =
		    elements_at(judge.elements, i * stride % total);
		if (!is_wanted(x) || elements_find_name(judge.elements, x->name) != x) {
			continue;
		}
		judge.elements_of[judge.columns++] = x;
		n += (size_t)snprintf(text + n, sizeof text - n, "- %s\n", x->name);
	}
	const char *record = "record: everything\nfields:\n"
			     "  start: { type: time, from: [flowStartSeconds] }\n"
			     "sides: {}\n";
	if (yaml_parse("names", text, n, &judge.names, &e) < 0 ||
	    schema_record_parse("record", record, strlen(record), &judge.record, &e) <
		0 ||
	    layout_new(judge.record, judge.elements, &judge.layout, &e) < 0) {
		fail_msg("%s", e.text);
	}
	const struct yaml_node *root = yaml_root(judge.names);
	for (unsigned i = 0; i < judge.columns; i++) {
		int column = layout_field(
		    judge.layout, judge.names, root->items[i], SIDE_NONE, &e);
		if (column < 0) {
			fail_msg("%s", e.text);
		}
		assert_int_equal(column, i);
	}
	if (layout_finish(judge.layout, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static int
set_up(void **state)
{
	(void)state;
	struct err e;
	judge.elements = elements_new(ELEMENT_PEN_OWN);
	judge.intern = intern_new();
	if (elements_read_xml(judge.elements, "schemas/elements.xml", &e) < 0) {
		fail_msg("%s", e.text);
	}
	make_layout();
	assert_int_equal(batch_init(&judge.batch, judge.layout, judge.intern), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	batch_done(&judge.batch);
	layout_free(judge.layout);
	schema_record_free(judge.record);
	yaml_unload(judge.names);
	intern_free(judge.intern);
	elements_free(judge.elements);
	return 0;
}

static void
random_shape(struct shape *s)
{
	bool taken[COLUMNS] = {false};
	*s = (struct shape){
	    .is_options = random_below(5) == 0, .count = 1 + random_below(MAX_FIELDS)};
	for (unsigned i = 0; i < s->count; i++) {
		unsigned column = random_below(judge.columns);
		while (taken[column]) {
			column = (column + 1) % judge.columns;
		}
		taken[column] = true;
		const struct element *x = judge.elements_of[column];
		struct field f = {
		    .element = x, .length = x->length, .column = (int)column};
		if (is_integer(x) && random_below(2) == 0) {
			f.length = (uint16_t)(1 + random_below(x->length));
		} else if (is_text(x) && random_below(4) == 0) {
			f.length = (uint16_t)(1 + random_below(20));
		}
		s->fields[i] = f;
	}
}

static uint64_t
random_integer(const struct field *f)
{
	unsigned bits = 8u * f->length - (is_signed(f->element) || f->length == 8);
	uint64_t v = random_u64() >> (64 - bits);
	v = random_below(8) == 0 ? v >> random_below(bits) : v;
	/* Negative numbers by the complement: within the reduced length too. */
	return is_signed(f->element) && random_below(2) == 0 ? ~v : v;
}

static uint64_t
random_float(const struct element *x)
{
	double d = (double)(int64_t)random_u64() / 1048576.0;
	uint64_t bits;
	if (x->type == ELEMENT_F32) {
		d = (double)(float)d;
	}
	memcpy(&bits, &d, sizeof bits);
	return bits;
}

static void
random_value(const struct field *f, struct value *v)
{
	const struct element *x = f->element;
	memset(v, 0, sizeof *v);
	if (is_integer(x)) {
		v->number = random_integer(f);
	} else if (x->type == ELEMENT_F32 || x->type == ELEMENT_F64) {
		v->number = random_float(x);
	} else if (x->type == ELEMENT_BOOL) {
		v->number = random_below(2);
	} else if (is_text(x)) {
		v->length =
		    f->length == ELEMENT_VARIABLE ? random_below(TEXT_MAX) : f->length;
		for (size_t i = 0; i < v->length; i++) {
			v->bytes[i] = (uint8_t)('!' + random_below(94));
		}
	} else if (x->type >= ELEMENT_TIME_S && x->type <= ELEMENT_TIME_NS) {
		static const uint64_t units[] = {NS_PER_SECOND, 1000000, 1000, 1};
		uint64_t ns = random_u64() % (UINT64_C(4000000000) * NS_PER_SECOND);
		v->number = ns - ns % units[x->type - ELEMENT_TIME_S];
	} else { /* MAC and IP addresses */
		v->length = x->length;
		for (size_t i = 0; i < v->length; i++) {
			v->bytes[i] = (uint8_t)random_u64();
		}
	}
}

/* NTP's 64 bits, by the definition; microseconds without their last 11. */
static uint64_t
ntp_of(uint64_t ns, bool is_micros)
{
	uint64_t seconds = ns / NS_PER_SECOND + 2208988800u;
	long double rest = (long double)(ns % NS_PER_SECOND) / 1e9L;
	uint64_t fraction = (uint64_t)(rest * 4294967296.0L + 0.5L);
	if (is_micros) {
		fraction = (uint64_t)(rest * 2097152.0L + 0.5L) << 11;
	}
	return (seconds << 32) + fraction;
}

/* One value into libfixbuf's record; how many bytes it takes there. */
static size_t
put_number(uint8_t *to, uint64_t v, size_t n)
{
	memcpy(to, &v, n); /* little-endian hosts; see main() */
	return n;
}

static size_t
put_value(const struct field *f, const struct value *v, uint8_t *to)
{
	const struct element *x = f->element;
	double d;
	float narrow;
	switch (x->type) {
	case ELEMENT_STRING:
	case ELEMENT_OCTETS:
		if (f->length == ELEMENT_VARIABLE) {
			fbVarfield_t var = {
			    .len = v->length, .buf = (uint8_t *)v->bytes};
			memcpy(to, &var, sizeof var);
			return sizeof var;
		}
		memcpy(to, v->bytes, v->length);
		return v->length;
	case ELEMENT_MAC:
	case ELEMENT_IPV6:
		memcpy(to, v->bytes, v->length);
		return v->length;
	case ELEMENT_IPV4: {
		struct cursor c = cursor_of(v->bytes, 4);
		return put_number(to, cursor_u32(&c), 4);
	}
	case ELEMENT_BOOL:
		return put_number(to, v->number != 0 ? 1 : 2, 1);
	case ELEMENT_F32:
		memcpy(&d, &v->number, sizeof d);
		narrow = (float)d;
		memcpy(to, &narrow, sizeof narrow);
		return sizeof narrow;
	case ELEMENT_TIME_S:
		return put_number(to, v->number / NS_PER_SECOND, 4);
	case ELEMENT_TIME_MS:
		return put_number(to, v->number / 1000000, 8);
	case ELEMENT_TIME_US:
	case ELEMENT_TIME_NS:
		return put_number(to, ntp_of(v->number, x->type == ELEMENT_TIME_US), 8);
	default:
		return put_number(to, v->number, x->length);
	}
}

/* --- what comes back --- */

static void
compare_text(const struct field *f, const struct value *v, uint32_t id)
{
	size_t n = 0;
	const char *text = intern_text(judge.intern, id, &n);
	char expected[2 * TEXT_MAX + 1] = "";
	size_t length = v->length;
	if (f->element->type == ELEMENT_STRING) {
		memcpy(expected, v->bytes, length);
	} else {
		for (size_t i = 0; i < v->length; i++) {
			snprintf(expected + 2 * i, 3, "%02x", v->bytes[i]);
		}
		/* Hexadecimal is cut after whole octets. */
		length = 2 * v->length;
		length = length > INTERN_MAX ? INTERN_MAX - INTERN_MAX % 2 : length;
	}
	length = length > INTERN_MAX ? INTERN_MAX : length;
	if (n != length || memcmp(text, expected, n) != 0) {
		fail_msg("%s of %zu is \"%s\", not \"%.*s\"", f->element->name,
		    v->length, text, (int)length, expected);
	}
}

static void
compare_value(const struct field *f, const struct value *v, unsigned row)
{
	const struct element *x = f->element;
	if (x->type == ELEMENT_IPV4 || x->type == ELEMENT_IPV6) {
		struct address a;
		if (x->type == ELEMENT_IPV4) {
			address_from_ipv4(&a, v->bytes);
		} else {
			memcpy(a.bytes, v->bytes, 16);
		}
		assert_memory_equal(
		    batch_addresses(&judge.batch, f->column)[row].bytes, a.bytes, 16);
		return;
	}
	int64_t got = batch_values(&judge.batch, f->column)[row];
	if (is_text(x)) {
		compare_text(f, v, (uint32_t)got);
		return;
	}
	uint64_t expected = v->number;
	if (x->type == ELEMENT_MAC) {
		expected = load_uint(v->bytes, 6);
	}
	if ((uint64_t)got != expected) {
		fail_msg("%s (%u bytes) is %lld, not %lld", x->name, f->length,
		    (long long)got, (long long)expected);
	}
}

static void
compare_rows(const struct shape *s)
{
	for (unsigned row = 0; row < judge.batch.count; row++) {
		const struct value *values = judge.sent[judge.received + row];
		for (unsigned i = 0; i < s->count; i++) {
			compare_value(&s->fields[i], &values[i], row);
		}
	}
}

/* Sessions keep options records for themselves: they count them, no more. */
static void
skip_options(void)
{
	while (judge.received < judge.sent_count &&
	       judge.shapes[judge.sent_shape[judge.received]].is_options) {
		judge.received++;
	}
}

static int
take_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	(void)o;
	(void)data;
	if (t->is_options) {
		return 0; /* descriptions of elements */
	}
	const struct shape *s = &judge.shapes[t->id - FIRST_ID];
	skip_options();
	unsigned before = judge.received;
	size_t at = 0;
	assert_int_equal(t->field_count, s->count);
	for (unsigned i = 0; i < s->count; i++) {
		if (t->fields[i].element != s->fields[i].element) {
			fail_msg("%s became %u/%u", s->fields[i].element->name,
			    t->fields[i].pen, t->fields[i].id);
		}
		assert_int_equal(t->fields[i].length, s->fields[i].length);
	}
	struct plan *p = plan_new(judge.layout, t);
	assert_non_null(p);
	for (;;) {
		assert_true(judge.received < judge.sent_count || at == length);
		int n = plan_decode(p, bytes, length, &at, &judge.batch);
		assert_true(n >= 0);
		if (n == 0) {
			break;
		}
		assert_ptr_equal(&judge.shapes[judge.sent_shape[judge.received]], s);
		compare_rows(s);
		judge.received += (unsigned)n;
	}
	plan_free(p);
	assert_int_equal(at, length);
	return (int)(judge.received - before);
}

static void
take_counts(const struct session_counts *c, void *data)
{
	(void)data;
	judge.counts = *c;
}

/* --- libfixbuf's side --- */

struct writer {
	fbInfoModel_t *model;
	fbSession_t *session;
	fbExporter_t *exporter;
	fBuf_t *buffer;
	uint8_t message[MESSAGE_BYTES];
	struct sessions *sessions;
	unsigned messages;
};

static void
stop(GError *error)
{
	fail_msg("libfixbuf: %s", error == NULL ? "no reason" : error->message);
}

static void
emit(struct writer *w)
{
	GError *error = NULL;
	if (!fBufEmit(w->buffer, &error)) {
		stop(error);
	}
	size_t length = fbExporterGetMsgLen(w->exporter);
	if (length == 0) { /* the first call only begins a message */
		return;
	}
	assert_int_equal(message_length(w->message, length), length);
	support_message(
	    w->sessions, MESSAGE(1, 0, w->message, length, NS_PER_SECOND, 0));
	w->messages++;
}

static void
add_template(struct writer *w, uint16_t id, const struct shape *s)
{
	GError *error = NULL;
	for (int is_internal = 0; is_internal < 2; is_internal++) {
		fbTemplate_t *t = fbTemplateAlloc(w->model);
		for (unsigned i = 0; i < s->count; i++) {
			const struct field *f = &s->fields[i];
			bool is_own = is_internal && !is_text(f->element);
			fbInfoElementSpec_t spec = {(char *)f->element->name,
			    is_own ? f->element->length : f->length, 0};
			if (!fbTemplateAppendSpec(t, &spec, 0, &error)) {
				stop(error);
			}
		}
		if (s->is_options) {
			fbTemplateSetOptionsScope(t, 1);
		}
		if (fbSessionAddTemplate(w->session, is_internal, id, t, &error) == 0) {
			stop(error);
		}
	}
}

static void
write_record(struct writer *w, uint16_t id, const struct shape *s)
{
	GError *error = NULL;
	uint8_t record[MAX_FIELDS * 24];
	size_t n = 0;
	struct value *values = judge.sent[judge.sent_count];
	for (unsigned i = 0; i < s->count; i++) {
		random_value(&s->fields[i], &values[i]);
		n += put_value(&s->fields[i], &values[i], record + n);
	}
	assert_true(n <= sizeof record);
	judge.sent_shape[judge.sent_count++] = id - FIRST_ID;
	while (!fBufAppend(w->buffer, record, n, &error)) {
		if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
			stop(error);
		}
		g_clear_error(&error);
		emit(w);
	}
}

static void
write_records(struct writer *w, unsigned index)
{
	GError *error = NULL;
	uint16_t id = (uint16_t)(FIRST_ID + index);
	if (!fBufSetInternalTemplate(w->buffer, id, &error) ||
	    !fBufSetExportTemplate(w->buffer, id, &error)) {
		stop(error);
	}
	unsigned records = 1 + random_below(MAX_RECORDS);
	for (unsigned i = 0; i < records; i++) {
		write_record(w, id, &judge.shapes[index]);
	}
}

static void
open_writer(struct writer *w)
{
	GError *error = NULL;
	const struct sessions_settings settings = {.max_sessions = 1,
	    .max_domains = 1,
	    .max_templates = TEMPLATES,
	    .max_fields = MAX_FIELDS};
	static const char identity[] = "transport=tcp\npeer=192.0.2.1:5000\n";
	*w = (struct writer){.model = fbInfoModelAlloc()};
	w->sessions = sessions_new(&settings, judge.elements, take_set, NULL);
	sessions_open(w->sessions, 1, (const uint8_t *)identity, strlen(identity), 1);
	if (!fbInfoModelReadXMLFile(w->model, "schemas/elements.xml", &error)) {
		stop(error);
	}
	w->session = fbSessionAlloc(w->model);
}

/* With templates that are there: those added later go out by themselves. */
static void
open_buffer(struct writer *w)
{
	GError *error = NULL;
	w->exporter = fbExporterAllocBuffer(w->message, sizeof w->message);
	w->buffer = fBufAllocForExport(w->session, w->exporter);
	fBufSetAutomaticMode(w->buffer, FALSE);
	for (unsigned i = 0; i < TEMPLATES; i++) {
		while (!fbSessionExportTemplate(
		    w->session, (uint16_t)(FIRST_ID + i), &error)) {
			if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
				stop(error);
			}
			g_clear_error(&error);
			emit(w);
		}
	}
}

static void
close_writer(struct writer *w)
{
	sessions_take_counts(w->sessions, take_counts, NULL);
	sessions_free(w->sessions);
	fBufFree(w->buffer);
	fbInfoModelFree(w->model);
}

static void
run_session(uint64_t seed)
{
	static struct writer w;
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
	judge.sent_count = judge.received = 0;
	open_writer(&w);
	for (unsigned i = 0; i < TEMPLATES; i++) {
		random_shape(&judge.shapes[i]);
		add_template(&w, (uint16_t)(FIRST_ID + i), &judge.shapes[i]);
	}
	open_buffer(&w);
	for (unsigned i = 0; i < TEMPLATES; i++) {
		write_records(&w, i);
	}
	emit(&w);
	close_writer(&w);
	skip_options();
	assert_int_equal(judge.received, judge.sent_count);
	assert_int_equal(judge.counts.messages, w.messages);
	assert_int_equal(judge.counts.lost, 0);
	assert_int_equal(judge.counts.reordered, 0);
	unsigned options = 0;
	for (unsigned i = 0; i < judge.sent_count; i++) {
		options += judge.shapes[judge.sent_shape[i]].is_options;
	}
	assert_int_equal(judge.counts.options, options);
	assert_int_equal(judge.counts.records, judge.sent_count - options);
	for (unsigned i = 0; i < DROPS; i++) {
		if (judge.counts.dropped[i] != 0) {
			fail_msg("seed %u: %s", (unsigned)seed, drop_name(i));
		}
	}
}

static void
what_libfixbuf_writes_is_read_as_it_was_meant(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SESSIONS; seed++) {
		intern_clear(judge.intern);
		run_session(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_libfixbuf_writes_is_read_as_it_was_meant),
	};
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
		return 0; /* put_number() cuts low bytes off */
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
