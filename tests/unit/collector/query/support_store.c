#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/collector/query/support_store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/query/execute.h"
#include "common/sqlite/database.h"

static char folder[64];

#define COLUMNS                                                                        \
	"CREATE TABLE IF NOT EXISTS flowpair_columns(table_name TEXT, position "       \
	"INTEGER, column_name TEXT, kind TEXT, role TEXT, expression TEXT);"

static const char pairs_columns[] =
    COLUMNS "INSERT INTO flowpair_columns VALUES"
	    "('pairs',0,'src_ip','address','key',NULL),"
	    "('pairs',1,'dst_ip','address','key',NULL),"
	    "('pairs',2,'dst_port','integer','key',NULL),"
	    "('pairs',3,'start_ns','time_ns','minimize',NULL),"
	    "('pairs',4,'end_ns','time_ns','maximize',NULL),"
	    "('pairs',5,'packets','integer','sum',NULL),"
	    "('pairs',6,'octets','integer','sum',NULL),"
	    "('pairs',7,'mean','real','computed','1.0 * octets / packets');";

static const char pairs_tables[] =
    "CREATE TABLE pairs_runs(src_ip, dst_ip, dst_port, start_ns, end_ns, packets, "
    "octets); CREATE TABLE pairs_extent(first, last);"
    "CREATE VIEW pairs AS SELECT *, 1.0 * octets / packets AS mean FROM (SELECT "
    "src_ip, "
    "dst_ip, dst_port, min(start_ns) AS start_ns, max(end_ns) AS end_ns, sum(packets) "
    "AS "
    "packets, sum(octets) AS octets FROM pairs_runs GROUP BY 1, 2, 3);";

/* 1493164800000000000 is 2017-04-26T00:00:00Z. */
static const char first_day[] =
    "INSERT INTO pairs_runs VALUES"
    "('10.0.0.9','10.1.0.1',80,1493164801000000000,1493164802000000000,1,100),"
    "('10.0.0.10','10.1.0.1',443,1493168400000000000,1493168400500000000,2,50),"
    "('2001:db8::1','2001:db8::2',80,1493172000000000000,1493172001000000000,3,70),"
    "('10.0.0.9','10.1.0.1',80,1493172000000000000,1493175600000000000,4,900);"
    "INSERT INTO pairs_extent VALUES(1,3),(4,4);";
static const char second_day[] =
    "INSERT INTO pairs_runs VALUES"
    "('10.0.0.9','10.1.0.1',80,1493251200000000000,1493251201000000000,5,11),"
    "('192.168.0.1','10.1.0.2',53,1493251300000000000,1493251301000000000,1,2000);"
    "INSERT INTO pairs_extent VALUES(1,2);";

static const char main_file[] = COLUMNS
    "CREATE TABLE flowpair_tables(table_name, storage, partition, version, "
    "is_view); INSERT INTO flowpair_tables VALUES"
    "('conversations','append','day',1,0),('late','runs','day',1,0),"
    "('net_services','upsert','none',1,1),('pairs','runs','day',1,0),"
    "('services','upsert','none',1,0);"
    "INSERT INTO flowpair_columns VALUES"
    "('services',0,'date','date','key',NULL),"
    "('services',1,'service_ip','prefix','key',NULL),"
    "('services',2,'service_port','integer','key',NULL),"
    "('services',3,'packets','integer','sum',NULL),"
    "('services',4,'bytes','integer','sum',NULL),"
    "('late',0,'src_ip','address','key',NULL),"
    "('late',1,'packets','integer','sum',NULL),"
    "('late',2,'octets','integer','sum',NULL);"
    "CREATE TABLE services(date, service_ip, service_port, packets, bytes, "
    "PRIMARY KEY(date, service_ip, service_port)) WITHOUT ROWID;"
    "INSERT INTO services VALUES('2017-04-26','50.31.185.0/24',80,4,674),"
    "('2017-04-26','2001:db8::/64',443,1,NULL),"
    "('2017-04-27','9.0.0.0/24',53,2,20);"
    "CREATE VIEW net_services AS SELECT date, replace(service_ip,'.0/24','') AS "
    "service_ip, service_port, packets, bytes FROM services;";

static const char conversations_file[] = COLUMNS
    "INSERT INTO flowpair_columns VALUES"
    "('conversations',0,'src_ip','address','value',NULL),"
    "('conversations',1,'note','text','value',NULL),"
    "('conversations',2,'start_ns','time_ns','value',NULL),"
    "('conversations',3,'fwd_packets','integer','value',NULL),"
    "('conversations',4,'fwd_payload_octets','integer','value',NULL),"
    "('conversations',5,'fwd_payload_max','integer','value',NULL),"
    "('conversations',6,'fwd_payload_mean','real','computed',"
    "'CASE WHEN fwd_packets > 0 THEN 1.0 * fwd_payload_octets / fwd_packets END'),"
    "('conversations',7,'gap_mean','real','computed',"
    "'CASE WHEN (\"fwd_packets\" - 1) > 0 THEN CAST(\"fwd_payload_octets\" AS REAL) / "
    "(\"fwd_packets\" - 1) END');"
    "CREATE TABLE conversations_rows(src_ip, note, start_ns, fwd_packets, "
    "fwd_payload_octets, fwd_payload_max);"
    "CREATE VIEW conversations AS SELECT *, 1.0 * fwd_payload_octets / fwd_packets AS "
    "fwd_payload_mean, 1.0 * fwd_payload_octets / (fwd_packets - 1) AS gap_mean FROM "
    "conversations_rows;"
    "INSERT INTO conversations_rows VALUES"
    "('10.0.0.2','b,\"c\"',1493168400000000000,1,10,10),"
    "('10.0.0.1','a',1493164801000000000,2,30,25),"
    "('10.0.0.1',NULL,1493172000000000000,8,0,0);";

static const char late_file[] = COLUMNS
    "CREATE TABLE late_runs(src_ip, packets);"
    "CREATE TABLE late_extent(first, last); INSERT INTO late_extent VALUES(1,1);"
    "CREATE VIEW late AS SELECT src_ip, sum(packets) AS packets FROM late_runs "
    "GROUP BY 1; INSERT INTO late_runs VALUES('10.0.0.1', 7);";

void
store_run(const char *file, const char *sql)
{
	struct database *d = NULL;
	struct err e = {""};
	char path[160];

	snprintf(path, sizeof path, "%s/%s", folder, file);
	if (database_open(path, DATABASE_WRITE, &d, &e) < 0 ||
	    database_exec_text(d, sql, &e) < 0) {
		fail_msg("%s", e.text);
	}
	database_close(d);
}

const char *
store_make(void)
{
	strcpy(folder, "/tmp/flowpair-query-XXXXXX");
	assert_non_null(mkdtemp(folder));
	store_run("flowpair.sqlite", main_file);
	store_run("flowpair.sqlite", pairs_columns);
	store_run("pairs-2017-04-26.sqlite", pairs_columns);
	store_run("pairs-2017-04-26.sqlite", pairs_tables);
	store_run("pairs-2017-04-26.sqlite", first_day);
	store_run("pairs-2017-04-27.sqlite", pairs_columns);
	store_run("pairs-2017-04-27.sqlite", pairs_tables);
	store_run("pairs-2017-04-27.sqlite", second_day);
	store_run("conversations-2017-04-26.sqlite", conversations_file);
	store_run("late-2017-04-26.sqlite", late_file);
	return folder;
}

const char *
store_folder(void)
{
	return folder;
}

void
store_remove(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[400];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		unlink(path);
	}
	if (dir != NULL) {
		closedir(dir);
	}
	rmdir(folder);
}

static int
new_question(struct catalog *c, const struct store_request *r, struct question **ret,
    struct err *e)
{
	struct request request = {.where = r->where,
	    .from = r->from,
	    .to = r->to,
	    .by = r->by,
	    .columns = r->columns,
	    .sort = r->sort,
	    .top = r->top,
	    .limit = r->limit};
	const struct table *t = NULL;
	int rc;

	while (request.where_count < 6 && r->where[request.where_count] != NULL) {
		request.where_count++;
	}
	rc = catalog_find(c, r->table, &t, e);
	return rc == 0 ? question_new(t, &request, ret, e) : rc;
}

void
store_scan_open(struct store_scan *s, const struct store_request *r)
{
	struct err e = {""};
	const struct table *t = NULL;

	memset(s, 0, sizeof *s);
	if (catalog_open(folder, &s->catalog, &e) < 0 ||
	    new_question(s->catalog, r, &s->question, &e) < 0 ||
	    catalog_files(
		folder, s->question->table, CATALOG_EVERY_DAY, &s->files, &e) < 0) {
		fail_msg("%s", e.text);
	}
	t = s->question->table;
	assert_true(s->files.count > 0);
	assert_int_equal(catalog_file_open(&s->files.items[0], t, 0, &s->scan, &e), 1);
}

void
store_scan_close(struct store_scan *s)
{
	catalog_file_close(&s->scan);
	catalog_files_free(&s->files);
	question_free(s->question);
	catalog_close(s->catalog);
}

const char *
store_complaint(const struct store_request *r)
{
	static struct err e;
	struct catalog *c = NULL;
	struct question *q = NULL;
	int rc = catalog_open(folder, &c, &e);

	rc = rc == 0 ? new_question(c, r, &q, &e) : rc;
	question_free(q);
	catalog_close(c);
	return rc < 0 ? e.text : "";
}

int
store_setup(void **state)
{
	(void)state;
	store_make();
	return 0;
}

int
store_teardown(void **state)
{
	(void)state;
	store_remove();
	return 0;
}

static int
ask(struct catalog *c, const struct store_request *r, FILE *to, struct err *e)
{
	struct output_settings settings = {.format = OUTPUT_CSV, .keep = -1};
	struct output_column columns[64];
	struct question *q = NULL;
	struct output *o = NULL;
	int rc = new_question(c, r, &q, e);

	if (rc < 0) {
		return rc;
	}
	for (unsigned i = 0; i < q->column_count; i++) {
		const struct column *k = &q->table->columns[q->columns[i]];
		columns[i] = (struct output_column){k->name, k->shown, k->kind};
	}
	o = output_new(&settings, columns, q->column_count, to);
	assert_non_null(o);
	rc = execute_question(c, q, 0, o, e);
	rc = rc == 0 ? output_end(o) : rc;
	output_free(o);
	question_free(q);
	return rc;
}

char *
store_ask(const struct store_request *r)
{
	struct catalog *c = NULL;
	struct err e = {""};
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);
	int rc = catalog_open(folder, &c, &e);

	assert_non_null(to);
	rc = rc == 0 ? ask(c, r, to, &e) : rc;
	catalog_close(c);
	assert_int_equal(fclose(to), 0);
	if (rc < 0) {
		free(text);
		text = strdup(e.text);
	}
	return text;
}
