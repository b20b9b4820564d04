/* flowpair-query: queries the tables of a store from the command line. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/query/execute.h"
#include "collector/query/listing.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/option.h"

#define EXIT_OPERATOR 2

struct config {
	const char *store;
	struct option_list where;
	const char *from, *to, *by, *sort, *columns;
	uint64_t top, limit, timeout_ns;
	unsigned format;
	bool is_iso;
};

static const char *const formats[] = {
    [OUTPUT_TABLE] = "table", [OUTPUT_CSV] = "csv", [OUTPUT_JSON] = "json", NULL};

#define AT(member) .offset = offsetof(struct config, member)
static const struct option options[] = {
    {ROW_STRING("store", "DIR"), AT(store), .letter = 's', .section = "Store",
	.help = "Read this store of flowpair-collector, given as DIR or sqlite:DIR."},

    {ROW_LIST("where", "FIELD_OP=VALUE"), AT(where), .letter = 'w',
	.section = "What to show",
	.help = "Show only rows that meet this condition.  May be repeated; all "
		"conditions must hold.  Conditions may also follow the table without "
		"--where."},
    {ROW_STRING("from", "TIME"), AT(from),
	.help = "Show only rows from this time on: 2017-04-26, 2017-04-26T11:11:17Z "
		"(UTC, or with an offset such as +02:00), -2h (two hours ago), now, "
		"today, yesterday, @SECONDS or nanoseconds since 1970."},
    {ROW_STRING("to", "TIME"), AT(to),
	.help = "Show only rows before this time, written as for --from.  A date "
		"without a time of day includes the whole day."},
    {ROW_STRING("by", "FIELD[,FIELD]"), AT(by), .letter = 'b',
	.help = "Group rows that agree in these fields: add up sums, take least and "
		"greatest values, and compute means and deviations from the sums."},
    {ROW_NUMBER("top", NULL, 0, 0), AT(top), .letter = 'n',
	.help =
	    "Show the N rows with the most octets (in tables without octets: bytes, "
	    "or else packets), or with the greatest values of the --sort field; 0: "
	    "all rows."},
    {ROW_STRING("sort", "[-]FIELD"), AT(sort),
	.help = "Sort by this field; with a minus sign, the greatest comes first.  "
		"Without it, rows come day by day in the order of the key, addresses "
		"in address order."},
    {ROW_STRING("columns", "A,B,..."), AT(columns), .letter = 'c',
	.help = "Show only these columns, in this order."},
    {ROW_NUMBER("limit", NULL, 0, 0), AT(limit),
	.help = "Stop after N rows; 0: no limit."},

    {ROW_CHOICE("format", "table|csv|json", "table", formats), AT(format),
	.letter = 'f', .section = "How to show it",
	.help = "Write an aligned table, CSV (RFC 4180), or a JSON array with one "
		"object per line."},
    {ROW_FLAG("iso"), AT(is_iso),
	.help = "Write times as ISO 8601 in CSV and JSON too, and drop _ns from the "
		"names of their columns."},
    {ROW_DURATION("timeout", "30s", 1, 365 * NS_PER_DAY), AT(timeout_ns),
	.help = "Give up after this time, so that a long query does not keep the "
		"collector from reusing its files."},
};

/* flowpair-query.1.in: the manual's text. */
extern const char flowpair_query_manual[];

static const struct option_program program = {
    .name = "flowpair-query",
    .summary = "query the tables of flowpair-collector",
    .synopsis =
	"--store DIR\n"
	"--store DIR TABLE [FIELD_OP=VALUE ...] [--by FIELD] [--top N] [options]",
    .operands = "TABLE is a table or view of the store; without TABLE, all of them are "
		"listed.  Words with an equals sign after TABLE are conditions, as for "
		"--where.",
    .manual = flowpair_query_manual,
    .options = options,
    .count = sizeof options / sizeof options[0],
};

/* The deadline stops statements that run too long; this stops one that waits for the
 * reader of our output. */
static void
give_up(int signal)
{
	static const char sentence[] =
	    "flowpair-query: the output was not read in time; write it to a file or "
	    "raise --timeout\n";
	ssize_t n = write(STDERR_FILENO, sentence, sizeof sentence - 1);

	(void)signal;
	(void)n;
	_exit(EXIT_FAILURE);
}

static void
set_alarm(uint64_t ns)
{
	struct itimerval t = {
	    .it_value = {.tv_sec = (time_t)(ns / NS_PER_SECOND),
		.tv_usec = (suseconds_t)(ns % NS_PER_SECOND / NS_PER_US)}};

	signal(SIGALRM, give_up);
	setitimer(ITIMER_REAL, &t, NULL);
}

/* Sorts the words into one table and conditions. */
static int
read_words(const struct option_list *words, const struct option_list *where,
    const char **ret_table, struct request *r, struct err *e)
{
	const char **all = calloc(words->count + where->count + 1, sizeof *all);

	if (all == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->where = all;
	for (unsigned i = 0; i < where->count; i++) {
		all[r->where_count++] = where->items[i];
	}
	for (unsigned i = 0; i < words->count; i++) {
		if (strpbrk(words->items[i], "=<>") != NULL) {
			all[r->where_count++] = words->items[i];
		} else if (*ret_table == NULL) {
			*ret_table = words->items[i];
		} else {
			return err_set(e, -EINVAL,
			    "unexpected \"%s\": the table %s is already given "
			    "(conditions are written FIELD=VALUE)",
			    words->items[i], *ret_table);
		}
	}
	if (*ret_table == NULL && r->where_count > 0) {
		return err_set(e, -EINVAL,
		    "\"%s\" needs a table to apply to; name one (without arguments, "
		    "flowpair-query lists the tables)",
		    all[0]);
	}
	return 0;
}

/* One question on its way to standard output. */
struct task {
	const struct config *config;
	struct catalog *catalog;
	uint64_t deadline_ns;
	struct output_column *columns; /* of the output */
	struct output *output;
};

static int
make_output(struct task *t, const struct output_column *columns, unsigned count,
    int keep, struct err *e)
{
	struct output_settings s = {.format = (enum output_format)t->config->format,
	    .is_iso = t->config->is_iso,
	    .is_terminal = isatty(STDOUT_FILENO),
	    .keep = keep};
	struct winsize w;

	if (s.is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0) {
		s.width = w.ws_col;
	}
	t->output = columns != NULL ? output_new(&s, columns, count, stdout) : NULL;
	return t->output != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int
ask(struct task *task, const char *table, const struct request *r, struct err *e)
{
	struct question *q = NULL;
	const struct table *t;
	int keep = -1, rc = catalog_find(task->catalog, table, &t, e);

	if (rc == 0 && t->count == 0) {
		rc = err_set(e, -ENODATA,
		    "table %s has no rows yet: nothing has been stored", table);
	}
	rc = rc == 0 ? question_new(t, r, &q, e) : rc;
	if (rc < 0) {
		return rc;
	}
	task->columns = calloc(q->column_count + 1, sizeof *task->columns);
	for (unsigned i = 0; task->columns != NULL && i < q->column_count; i++) {
		const struct column *k = &t->columns[q->columns[i]];
		task->columns[i] = (struct output_column){k->name, k->shown, k->kind};
		keep = q->sort == (int)q->columns[i] ? (int)i : keep;
	}
	rc = make_output(task, task->columns, q->column_count, keep, e);
	if (rc == 0) {
		rc = execute_question(
		    task->catalog, q, task->deadline_ns, task->output, e);
	}
	question_free(q);
	return rc;
}

static int
list(struct task *t, struct err *e)
{
	int rc = make_output(t, listing_columns, LISTING_COLUMNS, -1, e);

	return rc == 0 ? listing_write(t->catalog, t->deadline_ns, t->output, e) : rc;
}

/* The databases are closed by now, so the reader may take its time. */
static int
finish(const struct config *c, struct output *o, struct err *e)
{
	int rc = output_end(o);

	if (rc < 0) {
		return err_set(
		    e, rc, "cannot write to standard output: %s", strerror(-rc));
	}
	if (c->format == OUTPUT_TABLE && output_rows(o) == 0) {
		fprintf(stderr, "flowpair-query: no rows\n");
	}
	if (output_left_out(o) > 0) {
		fprintf(stderr,
		    "flowpair-query: %u columns do not fit; choose with --columns, or "
		    "show all with --format csv\n",
		    output_left_out(o));
	}
	return 0;
}

static int
run(const struct config *c, const struct option_list *words, struct err *e)
{
	struct task t = {
	    .config = c, .deadline_ns = clock_monotonic_ns() + c->timeout_ns};
	struct request r = {.from = c->from,
	    .to = c->to,
	    .now_ns = clock_realtime_ns(),
	    .by = c->by,
	    .columns = c->columns,
	    .sort = c->sort,
	    .top = c->top,
	    .limit = c->limit};
	const char *table = NULL;
	int rc;

	if (c->store == NULL) {
		return err_set(e, -EINVAL,
		    "--store is missing; name the directory that flowpair-collector "
		    "--store names");
	}
	rc = read_words(words, &c->where, &table, &r, e);
	if (rc < 0) {
		goto out;
	}
	set_alarm(c->timeout_ns + NS_PER_SECOND);
	rc = catalog_open(c->store, &t.catalog, e);
	if (rc == 0) {
		rc = table != NULL ? ask(&t, table, &r, e) : list(&t, e);
	}
	if (rc == -ETIMEDOUT) {
		err_set(e, rc,
		    "the query took longer than --timeout; narrow it with --from, --to "
		    "or --where, or raise --timeout");
	}
	catalog_detach(t.catalog);
	set_alarm(0);
	rc = rc == 0 ? finish(c, t.output, e) : rc;
out:
	output_free(t.output);
	catalog_close(t.catalog);
	free(t.columns);
	free((void *)r.where);
	return rc;
}

int
main(int argc, char **argv)
{
	struct option_list words = {0};
	struct config config = {0};
	struct err e = {""};
	bool is_understood;
	int rc;

	(void)argc;
	log_set_program("flowpair-query");
	rc = option_parse(&program, argv, &config, &words, &e);
	is_understood = rc >= 0;
	if (rc == 0) {
		rc = run(&config, &words, &e);
	}
	option_free(&program, &config, &words);
	if (rc < 0) {
		log_error("%s", e.text);
	}
	return rc >= 0 ? EXIT_SUCCESS
	       : !is_understood || rc == -EINVAL || rc == -ENOENT || rc == -ENOTDIR ||
		       rc == -EACCES || rc == -ENODATA
		   ? EXIT_OPERATOR
		   : EXIT_FAILURE;
}
