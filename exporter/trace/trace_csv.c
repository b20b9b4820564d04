#include "exporter/trace/trace_csv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/capture/input.h"
#include "exporter/trace/csv_line.h"

enum {
	LINE_MAX_BYTES = 64 * 1024,
	COLUMNS_MAX = 1024,
	NAME_MAX_BYTES = 64, /* of column names in complaints */
};
_Static_assert(LINE_MAX_BYTES < SOURCE_MOST, "a line fits into the source's buffer");

enum column {
	SOURCE_IP,
	SOURCE_PORT,
	DESTINATION_IP,
	DESTINATION_PORT,
	PROTOCOL,
	TIMESTAMP,
	DURATION,
	FORWARD_PACKETS,
	BACKWARD_PACKETS,
	FORWARD_BYTES,
	BACKWARD_BYTES,
	COLUMNS,
};

static const char *const column_names[COLUMNS] = {
    "Source.IP",
    "Source.Port",
    "Destination.IP",
    "Destination.Port",
    "Protocol",
    "Timestamp",
    "Flow.Duration",
    "Total.Fwd.Packets",
    "Total.Backward.Packets",
    "Total.Length.of.Fwd.Packets",
    "Total.Length.of.Bwd.Packets",
};

struct trace {
	char *name;
	struct input source;
	uint64_t duration_ns;
	uint64_t line;                 /* number of the last line taken */
	unsigned columns;              /* in the header */
	int8_t column_of[COLUMNS_MAX]; /* place in the line -> enum column, or -1 */
	struct trace_counts counts;
};

const char *
trace_bad_name(enum trace_bad b)
{
	static const char *const names[TRACE_BADS] = {
	    [TRACE_BAD_COLUMNS] = "columns",
	    [TRACE_BAD_ADDRESS] = "address",
	    [TRACE_BAD_PORT] = "port",
	    [TRACE_BAD_PROTOCOL] = "protocol",
	    [TRACE_BAD_TIME] = "time",
	    [TRACE_BAD_NUMBER] = "number",
	    [TRACE_BAD_TOO_LONG] = "too-long",
	};

	return (unsigned)b < TRACE_BADS ? names[b] : "unknown";
}

static void
count_bad(struct trace *t, enum trace_bad b)
{
	if (t->counts.bad[b]++ == 0) {
		t->counts.bad_line[b] = t->line;
	}
}

/* Skips the rest of a line that is too long. */
static int
skip_line(struct trace *t, struct err *e)
{
	struct input *s = &t->source;
	const uint8_t *newline;

	for (;;) {
		ssize_t have = input_fill(s, 1, e);
		if (have <= 0) {
			return (int)have;
		}
		newline = memchr(s->at, '\n', (size_t)have);
		if (newline != NULL) {
			s->at = newline + 1;
			return 1;
		}
		s->at = s->end;
	}
}

/* The next line without its end (LF or CR LF), valid until the next call.  1; 0: the
 * end of the file; negative with e.  A line ends at a line feed even within quotes: one
 * stray quote must not swallow the file. */
static int
take_line(struct trace *t, struct csv_field *ret, struct err *e)
{
	struct input *s = &t->source;
	size_t searched = 0;

	for (;;) {
		size_t have = (size_t)(s->end - s->at);
		const uint8_t *newline = NULL;
		ssize_t now;

		if (have > searched) {
			newline = memchr(s->at + searched, '\n', have - searched);
		}
		if (newline == NULL && have < LINE_MAX_BYTES) {
			searched = have;
			now = input_fill(s, have + 1, e);
			if (now < 0) {
				return (int)now;
			}
			if ((size_t)now > have) {
				continue;
			}
			if (have == 0) {
				return 0;
			}
			newline = s->end; /* the last line has no line feed */
		}
		t->line++;
		if (newline == NULL || newline - s->at > LINE_MAX_BYTES) {
			int rc;

			count_bad(t, TRACE_BAD_TOO_LONG);
			rc = skip_line(t, e);
			if (rc <= 0) {
				return rc;
			}
			searched = 0;
			continue;
		}
		ret->at = (const char *)s->at;
		ret->length = (size_t)(newline - s->at);
		s->at = newline == s->end ? s->end : newline + 1;
		if (ret->length > 0 && ret->at[ret->length - 1] == '\r') {
			ret->length--;
		}
		return 1;
	}
}

/* Column names match whatever separates their words ("Source IP", "source_ip"), because
 * copies of the data set differ. */
static bool
is_same_name(const struct csv_field *f, const char *name)
{
	if (f->length != strlen(name)) {
		return false;
	}
	for (size_t i = 0; i < f->length; i++) {
		char c = f->at[i];
		if (c == ' ' || c == '_') {
			c = '.';
		}
		if (strncasecmp(&c, &name[i], 1) != 0) {
			return false;
		}
	}
	return true;
}

static int
find_column(const struct csv_field *f)
{
	for (int i = 0; i < COLUMNS; i++) {
		if (is_same_name(f, column_names[i])) {
			return i;
		}
	}
	return -1;
}

/* The sentence for a missing column: suggests a similar name in the header, or says
 * what the header should be. */
static int
missing_column(
    const struct trace *t, const char *missing, struct csv_field header, struct err *e)
{
	char names[64][NAME_MAX_BYTES];
	const char *known[64], *nearest;
	struct csv_field f;
	unsigned n = 0;
	bool is_last = false;

	while (!is_last && n < 64 && csv_take_field(&header, &f, &is_last)) {
		if (find_column(&f) < 0 && f.length < NAME_MAX_BYTES) {
			memcpy(names[n], f.at, f.length);
			names[n][f.length] = '\0';
			known[n] = names[n];
			n++;
		}
	}
	nearest = err_nearest(missing, known, n);
	return nearest == NULL
		   ? err_set(e, -EINVAL,
			 "%s: line 1 has no column \"%s\"; a flow trace starts with a "
			 "header that names its columns, in any order: "
			 "Source.IP,Source.Port,Destination.IP,Destination.Port,"
			 "Protocol,Timestamp,Flow.Duration,Total.Fwd.Packets,"
			 "Total.Backward.Packets,Total.Length.of.Fwd.Packets,"
			 "Total.Length.of.Bwd.Packets",
			 t->name, missing)
		   : err_set(e, -EINVAL,
			 "%s: line 1 has no column \"%s\"; is \"%s\" a "
			 "misspelling of it?",
			 t->name, missing, nearest);
}

static int
read_header(struct trace *t, struct err *e)
{
	struct csv_field header, rest, f;
	bool is_last = false, has[COLUMNS] = {false};
	int rc = take_line(t, &header, e);

	if (rc < 0) {
		return err_prefix(e, rc, "%s", t->name);
	}
	if (rc == 0) {
		return err_set(e, -ENODATA,
		    "%s: empty; expected a flow trace with a header", t->name);
	}
	if (header.length >= 3 && memcmp(header.at, "\xef\xbb\xbf", 3) == 0) {
		header.at += 3; /* byte order mark */
		header.length -= 3;
	}
	rest = header;
	for (t->columns = 0; !is_last; t->columns++) {
		int column;

		if (t->columns == COLUMNS_MAX || !csv_take_field(&rest, &f, &is_last)) {
			return err_set(e, -EINVAL,
			    "%s: line 1 is not the header of a flow trace: %s", t->name,
			    t->columns == COLUMNS_MAX ? "too many columns"
						      : "unclosed quote");
		}
		column = find_column(&f);
		if (column >= 0 && has[column]) {
			return err_set(e, -EINVAL, "%s: line 1 has column \"%s\" twice",
			    t->name, column_names[column]);
		}
		if (column >= 0) {
			has[column] = true;
		}
		t->column_of[t->columns] = (int8_t)column;
	}
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (!has[i]) {
			return missing_column(t, column_names[i], header, e);
		}
	}
	return 0;
}

/* An empty counter is 0. */
static bool
parse_counter(const struct csv_field *f, uint64_t *ret)
{
	if (f->length == 0) {
		*ret = 0;
		return true;
	}
	return csv_number(f, UINT64_MAX, ret);
}

static bool
parse_port(const struct csv_field *f, uint16_t *ret)
{
	uint64_t v;

	if (!csv_number(f, UINT16_MAX, &v)) {
		return false;
	}
	*ret = (uint16_t)v;
	return true;
}

static bool
parse_times(const struct trace *t, const struct csv_field *f, struct flow_record *ret,
    enum trace_bad *ret_bad)
{
	uint64_t units, duration;

	*ret_bad = TRACE_BAD_TIME;
	if (!csv_time(&f[TIMESTAMP], &ret->start_ns)) {
		return false;
	}
	*ret_bad = TRACE_BAD_NUMBER;
	return parse_counter(&f[DURATION], &units) &&
	       !__builtin_mul_overflow(units, t->duration_ns, &duration) &&
	       !__builtin_add_overflow(ret->start_ns, duration, &ret->end_ns) &&
	       ret->end_ns <= INT64_MAX;
}

static bool
parse_row(const struct trace *t, const struct csv_field f[static COLUMNS],
    struct flow_record *ret, enum trace_bad *ret_bad)
{
	struct flow_side *forward = &ret->side[0], *backward = &ret->side[1];
	uint64_t protocol;

	*ret = (struct flow_record){.is_trace = true, .biflow_direction = 1};
	*ret_bad = TRACE_BAD_ADDRESS;
	if (!csv_address(&f[SOURCE_IP], &ret->source) ||
	    !csv_address(&f[DESTINATION_IP], &ret->destination)) {
		return false;
	}
	*ret_bad = TRACE_BAD_PORT;
	if (!parse_port(&f[SOURCE_PORT], &ret->source_port) ||
	    !parse_port(&f[DESTINATION_PORT], &ret->destination_port)) {
		return false;
	}
	*ret_bad = TRACE_BAD_PROTOCOL;
	if (!csv_number(&f[PROTOCOL], UINT8_MAX, &protocol)) {
		return false;
	}
	if (!parse_times(t, f, ret, ret_bad)) {
		return false;
	}
	*ret_bad = TRACE_BAD_NUMBER;
	if (!parse_counter(&f[FORWARD_PACKETS], &forward->packets) ||
	    !parse_counter(&f[BACKWARD_PACKETS], &backward->packets) ||
	    !parse_counter(&f[FORWARD_BYTES], &forward->payload_octets) ||
	    !parse_counter(&f[BACKWARD_BYTES], &backward->payload_octets)) {
		return false;
	}
	ret->protocol = (uint8_t)protocol;
	ret->has_reverse = backward->packets > 0 || backward->payload_octets > 0;
	forward->first_ns = backward->first_ns = ret->start_ns;
	forward->last_ns = backward->last_ns = ret->end_ns;
	return true;
}

/* Splits a line into the columns we need.  It must have as many fields as the header;
 * otherwise the row is shifted and none can be trusted. */
static bool
split_row(
    const struct trace *t, struct csv_field line, struct csv_field ret[static COLUMNS])
{
	struct csv_field f;
	bool is_last = false;
	unsigned n = 0;

	for (; !is_last && n < t->columns; n++) {
		if (!csv_take_field(&line, &f, &is_last)) {
			return false;
		}
		if (t->column_of[n] >= 0) {
			ret[t->column_of[n]] = f;
		}
	}
	return is_last && n == t->columns;
}

int
trace_open(const char *path, uint64_t duration_ns, struct trace **ret, struct err *e)
{
	struct trace *t = calloc(1, sizeof *t);
	int rc = err_set(e, -ENOMEM, "%s: out of memory", path);

	if (t == NULL) {
		return rc;
	}
	t->duration_ns = duration_ns;
	t->name = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	if (t->name == NULL) {
		goto out;
	}
	rc = input_open(path, &t->source, e);
	if (rc < 0) {
		goto out;
	}
	rc = read_header(t, e);
	if (rc < 0) {
		goto out;
	}

	*ret = t;
	t = NULL;
out:
	trace_close(t);
	return rc;
}

void
trace_set_wait(struct trace *t, compressed_wait *wait, void *data)
{
	compressed_set_wait(&t->source.file, wait, data);
}

int
trace_next(struct trace *t, struct flow_record *ret, struct err *e)
{
	struct csv_field line, fields[COLUMNS];
	enum trace_bad bad;
	int rc;

	while ((rc = take_line(t, &line, e)) > 0) {
		csv_trim(&line);
		if (line.length == 0) {
			continue;
		}
		if (!split_row(t, line, fields)) {
			count_bad(t, TRACE_BAD_COLUMNS);
		} else if (!parse_row(t, fields, ret, &bad)) {
			count_bad(t, bad);
		} else {
			t->counts.rows++;
			return 1;
		}
	}
	return rc == 0 ? 0
		       : err_prefix(e, rc, "%s: after line %llu", t->name,
			     (unsigned long long)t->line);
}

void
trace_counts(const struct trace *t, struct trace_counts *ret)
{
	*ret = t->counts;
	ret->position = compressed_position(&t->source.file);
	ret->size = t->source.file.size;
}

void
trace_close(struct trace *t)
{
	if (t != NULL) {
		input_close(&t->source);
		free(t->name);
		free(t);
	}
}
