/* Whatever order records come in, however they are cut into sets and wherever flushes
 * fall, the tables are the same.  Seeded: FLOWPAIR_SEED=n repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"
#include "common/base/clock.h"
#include "tests/unit/collector/protocol/support_set.h"

#define RECORDS   400
#define TEMPLATES 4
#define ROUNDS    12
#define DAY_ONE   17282

static const struct source_id source = {"a"};
static const char *const template_fields[TEMPLATES] = {
    "sourceIPv4Address destinationIPv4Address sourceTransportPort "
    "destinationTransportPort protocolIdentifier flowStartMilliseconds "
    "flowEndMilliseconds packetDeltaCount:4 octetDeltaCount dataByteCount "
    "reversePacketDeltaCount:4 reverseOctetDeltaCount reverseDataByteCount "
    "biflowDirection flowEndReason",
    "sourceIPv4Address destinationIPv4Address sourceTransportPort "
    "destinationTransportPort protocolIdentifier flowStartNanoseconds "
    "flowEndNanoseconds packetDeltaCount octetDeltaCount:3",
    "sourceIPv6Address destinationIPv6Address sourceTransportPort "
    "destinationTransportPort protocolIdentifier flowStartSeconds flowEndSeconds "
    "packetDeltaCount biflowDirection minimumPayloadOctets maximumPayloadOctets "
    "interarrivalMicrosecondSumOfSquares userName:v",
    "sourceIPv4Address destinationIPv4Address protocolIdentifier octetDeltaCount",
};
static const char table_everything[] =
    "table: everything\n"
    "from: conversation\n"
    "partition: day\n"
    "storage: runs\n"
    "key: { src: { prefix: sourceAddress, ipv4: 28, ipv6: 124 }, user: userName }\n"
    "values:\n"
    "  packets: { sum: forward.packets }\n"
    "  least: { minimize: forward.payload_min }\n"
    "  most: { maximize: forward.payload_max }\n"
    "  first_dst: { firstWriteWins: destinationAddress }\n"
    "  last_dst: { lastWriteWins: destinationAddress }\n"
    "  first_octets: { firstWriteWins: forward.octets }\n"
    "  last_user: { lastWriteWins: userName }\n"
    "  squares: { sum: forward.iat_sumsq }\n"
    "  mean: { mean: { sum: packets, count: most } }\n";

static uint64_t random_state;

static unsigned
pick(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 16) % n);
}

struct record {
	unsigned template;
	uint8_t bytes[256];
	size_t length;
	uint64_t position; /* place in the source: message and number in it */
};

static struct record records[RECORDS];

static void
put_ntp(struct support_set *s, uint64_t seconds)
{
	support_put(s, seconds + 2208988800u, 4);
	support_put(s, 0, 4);
}

static void
make_record(struct record *r)
{
	static const uint8_t protocols[] = {6, 17, 1};
	struct support_set s = {.length = 0};
	uint64_t start = DAY_ONE * 86400ULL + 86000 + pick(800);
	uint8_t six[16] = {0x20, 1, 0x0d, 0xb8};
	double square = (double)pick(1000);
	uint64_t bits;

	r->template = pick(TEMPLATES);
	for (unsigned end = 0; end < 2; end++) {
		six[15] = (uint8_t)pick(6);
		if (r->template == 2) {
			support_put_bytes(&s, six, 16);
		} else {
			support_put(&s, 0x0a000000 + pick(6), 4);
		}
	}
	if (r->template != 3) {
		support_put(&s, pick(2) == 0 ? 80 : 1020 + pick(8), 2);
		support_put(&s, pick(2) == 0 ? 53 : 1020 + pick(8), 2);
	}
	support_put(&s, protocols[pick(3)], 1);
	switch (r->template) {
	case 0:
		support_put(&s, start * 1000, 8);
		support_put(&s, start * 1000 + pick(5000), 8);
		support_put(&s, pick(100), 4);
		support_put(&s, pick(100000), 8);
		support_put(&s, pick(1000), 8);
		support_put(&s, pick(100), 4);
		support_put(&s, pick(100000), 8);
		support_put(&s, pick(1000), 8);
		support_put(&s, pick(3), 1);
		support_put(&s, pick(5) + 1, 1);
		break;
	case 1:
		put_ntp(&s, start);
		put_ntp(&s, start + pick(10));
		support_put(&s, pick(10), 8);
		support_put(&s, pick(10000), 3);
		break;
	case 2:
		support_put(&s, start, 4);
		support_put(&s, start + pick(10), 4);
		support_put(&s, pick(10), 8);
		support_put(&s, pick(3), 1);
		support_put(&s, pick(1000), 4);
		support_put(&s, pick(1000), 4);
		memcpy(&bits, &square, 8);
		support_put(&s, bits, 8);
		support_put(&s, 1, 1);
		support_put(&s, 'a' + pick(3), 1);
		break;
	default:
		support_put(&s, pick(1000), 8);
	}
	memcpy(r->bytes, s.bytes, s.length);
	r->length = s.length;
}

static struct tables *
new_tables(const char *dir)
{
	struct tables_settings s = {.schema_directory = dir,
	    .lateness_ns = 2 * NS_PER_DAY,
	    .skew_ns = NS_PER_DAY,
	    .max_keys = 5000};
	struct tables *t = NULL;
	struct err e = {""};

	if (tables_new(&s, support_elements(), &t, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return t;
}

static void
flush(struct store *store, uint64_t *position)
{
	struct err e = {""};

	*position += 1000000;
	if (store_flush(store, &source, *position, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

/* Everything in the store as one text; the caller frees. */
static char *
dump(const char *data)
{
	static const char *const questions[][2] = {
	    {"flowpair.sqlite", "SELECT * FROM services ORDER BY 1, 2, 3, 4, 5"},
	    {"pairs-2017-04-26.sqlite",
		"SELECT * FROM pairs ORDER BY 1, 2, 3, 4, 5, 6"},
	    {"pairs-2017-04-27.sqlite",
		"SELECT * FROM pairs ORDER BY 1, 2, 3, 4, 5, 6"},
	    {"everything-2017-04-26.sqlite", "SELECT * FROM everything ORDER BY 1, 2"},
	    {"everything-2017-04-27.sqlite", "SELECT * FROM everything ORDER BY 1, 2"},
	};
	char *text = calloc(1, 5 * 65536);

	for (unsigned i = 0; i < 5; i++) {
		strcat(text, support_query(data, questions[i][0], questions[i][1]));
		strcat(text, "\n");
	}
	return text;
}

/* Stores all records: as they lie, in sets of equal templates; or shuffled one by one;
 * with a flush after a record in `flush_one_in`. */
static char *
run(const char *dir, unsigned round, bool shuffled, unsigned flush_one_in)
{
	struct tables *t = new_tables(dir);
	struct template *templates[TEMPLATES];
	struct store *store = NULL;
	unsigned order[RECORDS];
	uint64_t position = 0;
	struct err e = {""};
	char data[128], *text;

	snprintf(data, sizeof data, "%s/data%u", dir, round);
	if (store_open(data, t, &store, &e) < 0) {
		fail_msg("%s", e.text);
	}
	for (unsigned i = 0; i < TEMPLATES; i++) {
		templates[i] =
		    support_template((uint16_t)(256 + i), template_fields[i]);
	}
	for (unsigned i = 0; i < RECORDS; i++) {
		unsigned k = shuffled ? pick(i + 1) : i;
		order[i] = order[k];
		order[k] = i;
	}
	for (unsigned i = 0; i < RECORDS;) {
		const struct record *r = &records[order[i]];
		struct origin o = {.exporter = r->template == 1 ? "x" : "y",
		    .arrival_ns = (DAY_ONE + 1) * NS_PER_DAY,
		    .position = r->position,
		    .is_live = true};
		struct support_set s = {.length = 0};
		unsigned n = 0, most = shuffled ? 1 : 1 + pick(70);
		while (n < most && i < RECORDS &&
		       records[order[i]].template == r->template &&
		       records[order[i]].position == r->position + n) {
			support_put_bytes(
			    &s, records[order[i]].bytes, records[order[i]].length);
			n++;
			i++;
		}
		assert_int_equal(
		    tables_add_set(templates[r->template], s.bytes, s.length, &o, t),
		    n);
		if (pick(flush_one_in) == 0) {
			flush(store, &position);
		}
	}
	flush(store, &position);
	support_templates_free();
	tables_free(t);
	store_close(store);
	text = dump(data);
	return text;
}

static void
tables_do_not_depend_on_order_split_or_flush(void **state)
{
	const char *dir = support_directory();
	char command[256], *expected, *text;

	(void)state;
	snprintf(command, sizeof command,
	    "cp -r schemas/records '%s' && mkdir '%s/tables' && cp "
	    "schemas/tables/pairs.yaml "
	    "schemas/tables/services.yaml '%s/tables'",
	    dir, dir, dir);
	assert_int_equal(system(command), 0);
	support_write("tables/everything.yaml", table_everything);
	for (unsigned i = 0; i < RECORDS; i++) {
		make_record(&records[i]);
		records[i].position = 1000 + i;
	}
	expected = run(dir, 0, false, RECORDS * 10);
	assert_true(strlen(expected) > 1000);
	for (unsigned round = 1; round < ROUNDS; round++) {
		text = run(dir, round, round % 2 == 0, 1 + pick(60));
		assert_string_equal(text, expected);
		free(text);
	}
	free(expected);
	support_directory_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tables_do_not_depend_on_order_split_or_flush),
	};
	const char *seed = getenv("FLOWPAIR_SEED");

	random_state = seed != NULL ? strtoull(seed, NULL, 0) | 1 : 20170426;
	print_message("seed %llu\n", (unsigned long long)random_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
