/* Random tables, in runs and compacted: people read the same.  And a compaction that is
 * killed anywhere changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/store/compact.h"
#include "collector/store/store.h"
#include "common/base/log.h"
#include "common/sqlite/database.h"
#include "tests/unit/collector/protocol/support_set.h"

#define SEEDS    12
#define KILLS    24
#define DAY      17282 /* 2017-04-26 */
#define DAY_FILE "flows-2017-04-26.sqlite"

static const struct source_id source = {"a"};

/* Every kind of key, NULL among them, and every reduction. */
static const char table_flows[] =
    "table: flows\n"
    "from: conversation\n"
    "partition: day\n"
    "storage: runs\n"
    "key:\n"
    "  exporter: exporter\n"
    "  src: sourceAddress\n"
    "  net: { prefix: destinationAddress, ipv4: 16, ipv6: 48 }\n"
    "  user: userName\n"
    "  port: sourceTransportPort\n"
    "values:\n"
    "  start_ns: { minimize: flowStart }\n"
    "  end_ns: { maximize: flowEnd }\n"
    "  packets: { sum: forward.packets }\n"
    "  first_user: { firstWriteWins: userName }\n"
    "  first_port: { firstWriteWins: destinationTransportPort }\n"
    "  last_dst: { lastWriteWins: destinationAddress }\n";

static uint64_t random_state;

static unsigned
random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % n);
}

struct world {
	char schemas[128], data[160];
	struct tables *tables;
	struct store *store;
	struct compact *compact;
	struct template *whole, *poor, *ipv6;
	uint64_t position;
};

static void
open_world(struct world *w)
{
	struct tables_settings s = {.schema_directory = w->schemas,
	    .lateness_ns = 1,
	    .skew_ns = 1,
	    .max_keys = 10000};
	struct err e = {""};

	if (tables_new(&s, support_elements(), &w->tables, &e) < 0 ||
	    store_open(w->data, w->tables, &w->store, &e) < 0 ||
	    compact_new(w->store, false, &w->compact, &e) < 0) {
		fail_msg("%s", e.text);
	}
	w->whole = support_template(256,
	    "sourceIPv4Address destinationIPv4Address sourceTransportPort "
	    "destinationTransportPort packetDeltaCount flowStartSeconds flowEndSeconds "
	    "userName:v");
	w->poor = support_template(
	    257, "sourceIPv4Address destinationIPv4Address flowStartSeconds");
	w->ipv6 = support_template(258,
	    "sourceIPv6Address destinationIPv6Address sourceTransportPort "
	    "packetDeltaCount flowStartSeconds flowEndSeconds");
}

static void
close_world(struct world *w)
{
	support_templates_free();
	compact_free(w->compact);
	store_close(w->store);
	tables_free(w->tables);
}

static int
set_up(void **state)
{
	static struct world w;
	const char *dir = support_schemas();

	w = (struct world){.position = 0};
	snprintf(w.schemas, sizeof w.schemas, "%s", dir);
	snprintf(w.data, sizeof w.data, "%s/data", dir);
	support_write("tables/flows.yaml", table_flows);
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	support_directory_remove();
	return 0;
}

static void
put_times(struct support_set *s, bool has_end)
{
	uint64_t start = (uint64_t)DAY * 86400 + random_below(86000);

	support_put(s, start, 4);
	if (has_end) {
		support_put(s, start + random_below(300), 4);
	}
}

static uint64_t
random_packets(void)
{
	return random_below(20) == 0 ? (uint64_t)INT64_MAX - random_below(9)
				     : random_below(1000000);
}

static void
add_record(struct world *w)
{
	static const char *const users[] = {"", "a", "ab", "b", "\xc3\xa9", "zz top"};
	static const char *const exporters[] = {"x", "xy", "y"};
	struct support_set s = {.length = 0};
	struct origin o = {.exporter = exporters[random_below(3)],
	    .arrival_ns = 1,
	    .position = ++w->position};
	const struct template *t = w->whole;
	char src[40], dst[40];
	unsigned kind = random_below(4);

	snprintf(src, sizeof src, kind == 0 ? "2001:db8::%x" : "10.0.%u.7",
	    random_below(12));
	snprintf(dst, sizeof dst, kind == 0 ? "2001:db8:%x::1" : "9.%u.0.1",
	    random_below(3));
	support_put_address(&s, src);
	support_put_address(&s, dst);
	if (kind == 0) {
		t = w->ipv6;
		support_put(&s, random_below(2), 2);
		support_put(&s, random_packets(), 8);
		put_times(&s, true);
	} else if (kind == 1) {
		t = w->poor;
		put_times(&s, false);
	} else {
		const char *user = users[random_below(6)];
		support_put(&s, random_below(2) * 40000, 2);
		support_put(&s, random_below(3), 2);
		support_put(&s, random_packets(), 8);
		put_times(&s, true);
		support_put(&s, strlen(user), 1);
		support_put_bytes(&s, user, strlen(user));
	}
	assert_int_equal(tables_add_set(t, s.bytes, s.length, &o, w->tables), 1);
}

static void
add_run(struct world *w, unsigned records)
{
	struct err e = {""};

	for (unsigned i = 0; i < records; i++) {
		add_record(w);
	}
	if (store_flush(w->store, &source, ++w->position, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

/* What people read, as a number that any difference changes; and how many rows. */
static uint64_t
view(const struct world *w, uint64_t *ret_rows)
{
	struct database *d = NULL;
	struct statement *s = NULL;
	struct err e = {""};
	uint64_t hash = 1469598103934665603u, rows = 0;
	char path[256];
	int rc;

	snprintf(path, sizeof path, "%s/" DAY_FILE, w->data);
	if (database_open(path, DATABASE_READ, &d, &e) < 0 ||
	    statement_new(d, "SELECT * FROM flows ORDER BY 1, 2, 3, 4, 5", &s, &e) <
		0) {
		fail_msg("%s", e.text);
	}
	while ((rc = statement_step(s, &e)) > 0) {
		for (int i = 0; i < statement_columns(s); i++) {
			hash = (hash ^ statement_type(s, i)) * 1099511628211u;
			for (const char *p = statement_text(s, i); *p != '\0'; p++) {
				hash = (hash ^ (uint8_t)*p) * 1099511628211u;
			}
		}
		rows++;
	}
	assert_int_equal(rc, 0);
	statement_free(s);
	database_close(d);
	*ret_rows = rows;
	return hash;
}

static const char *
ask(const struct world *w, const char *sql)
{
	return support_query(w->data, DAY_FILE, sql);
}

static void
check_compacted(const struct world *w, uint64_t wanted, uint64_t wanted_rows)
{
	uint64_t rows = 0;
	char text[32];

	assert_int_equal(view(w, &rows), wanted);
	assert_int_equal(rows, wanted_rows);
	snprintf(text, sizeof text, "1|%llu", (unsigned long long)rows);
	assert_string_equal(ask(w, "SELECT first, last FROM flows_extent"), text);
	snprintf(text, sizeof text, "%llu", (unsigned long long)rows);
	assert_string_equal(ask(w, "SELECT count(*) FROM flows_runs"), text);
	assert_string_equal(ask(w, "PRAGMA integrity_check"), "ok");
}

static void
the_view_of_a_compacted_day_is_that_of_its_runs(void **state)
{
	struct world *w = *state;

	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		unsigned runs = 2 + seed * seed, again = 0;
		random_state = seed * 0x9e3779b97f4a7c15u;
		snprintf(w->data, sizeof w->data, "%s/%u", w->schemas, seed);
		w->position = 0;
		open_world(w);
		for (unsigned i = 0; i < runs; i++) {
			add_run(w, 1 + random_below(60));
		}
		for (; again < 2; again++) {
			struct err e = {""};
			uint64_t rows = 0, wanted = view(w, &rows);
			int rc = compact_next(w->compact, COMPACT_ALL, &e);
			if (rc != 1) {
				fail_msg("seed %u: %d %s", seed, rc, e.text);
			}
			check_compacted(w, wanted, rows);
			add_run(w, 1 + random_below(60)); /* late */
		}
		close_world(w);
	}
}

/* In a child, which the kernel kills when a file grows beyond `limit`, or that goes
 * after `delay_us`. */
static int
compact_and_die(struct world *w, rlim_t limit, unsigned delay_us)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit l = {.rlim_cur = limit, .rlim_max = limit};
		struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
		struct err e;
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGXFSZ, SIG_DFL);
		open_world(w);
		if (limit > 0) {
			setrlimit(RLIMIT_FSIZE, &l);
		}
		if (delay_us > 0) {
			signal(SIGALRM, SIG_DFL);
			ualarm(delay_us, 0);
		}
		_exit(compact_next(w->compact, COMPACT_ALL, &e) >= 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
a_compaction_that_is_killed_leaves_the_day_as_it_was(void **state)
{
	struct world *w = *state;
	uint64_t rows = 0, wanted;
	unsigned killed = 0;

	random_state = 4711;
	for (unsigned i = 0; i < KILLS; i++) {
		rlim_t limit = i % 2 == 0 ? 4096 + random_below(1000000) : 0;
		unsigned delay = limit == 0 ? 500 + random_below(40000) : 0;
		struct err e = {""};
		uint64_t complete = 0, pending = 0;
		int status;
		snprintf(w->data, sizeof w->data, "%s/k%u", w->schemas, i);
		w->position = 0;
		open_world(w);
		for (unsigned k = 0; k < 20; k++) {
			add_run(w, 200);
		}
		wanted = view(w, &rows);
		close_world(w);
		status = compact_and_die(w, limit, delay);
		killed += WIFSIGNALED(status);
		assert_int_equal(view(w, &rows), wanted);
		open_world(w);
		assert_int_equal(
		    store_progress(w->store, &source, &complete, &pending, &e), 0);
		assert_int_equal(complete, w->position);
		assert_int_equal(pending, w->position);
		assert_true(compact_next(w->compact, COMPACT_ALL, &e) >= 0);
		check_compacted(w, wanted, rows);
		close_world(w);
	}
	assert_true(killed > 0);
	print_message("killed: %u of %u\n", killed, KILLS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    TEST(the_view_of_a_compacted_day_is_that_of_its_runs),
	    TEST(a_compaction_that_is_killed_leaves_the_day_as_it_was),
	};

	log_set_level(LOG_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
