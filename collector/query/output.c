#include "collector/query/output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/escape.h"
#include "common/base/clock.h"
#include "common/base/digits.h"

#define SAMPLE_ROWS 500         /* that decide how wide the columns of a table are */
#define HOLD_BYTES  (16u << 20) /* kept in memory before writing begins */
#define GAP         2           /* blanks between columns of a table */

struct cell {
	char *text;
	unsigned width; /* in characters */
};

struct output {
	struct output_settings settings;
	const struct output_column *columns;
	unsigned count;
	FILE *to;
	FILE *held; /* what was written and not yet given to `to` */
	char *held_text;
	size_t held_length;
	uint64_t rows;
	struct cell *sample; /* SAMPLE_ROWS x count; NULL once widths are known */
	unsigned sampled;
	unsigned *widths;
	bool *is_shown;
	unsigned left_out;
};

struct output *
output_new(const struct output_settings *s, const struct output_column *columns,
    unsigned count, FILE *to)
{
	struct output *o = calloc(1, sizeof *o);

	if (o == NULL) {
		return NULL;
	}
	*o = (struct output){
	    .settings = *s, .columns = columns, .count = count, .to = to};
	o->held = open_memstream(&o->held_text, &o->held_length);
	o->sample = calloc((size_t)SAMPLE_ROWS * count + 1, sizeof *o->sample);
	o->widths = calloc(count + 1, sizeof *o->widths);
	o->is_shown = calloc(count + 1, sizeof *o->is_shown);
	if (o->held == NULL || o->sample == NULL || o->widths == NULL ||
	    o->is_shown == NULL) {
		output_free(o);
		return NULL;
	}
	return o;
}

void
output_free(struct output *o)
{
	if (o == NULL) {
		return;
	}
	for (size_t i = 0; o->sample != NULL && i < (size_t)o->sampled * o->count;
	     i++) {
		free(o->sample[i].text);
	}
	free(o->sample);
	free(o->widths);
	free(o->is_shown);
	if (o->held != NULL) {
		fclose(o->held);
	}
	free(o->held_text);
	free(o);
}

uint64_t
output_rows(const struct output *o)
{
	return o->rows;
}

unsigned
output_left_out(const struct output *o)
{
	return o->left_out;
}

static int
hand_over(struct output *o)
{
	int rc = fclose(o->held) != 0 ? -ENOMEM : 0;

	o->held = NULL;
	errno = 0;
	if (rc == 0 &&
	    (fwrite(o->held_text, 1, o->held_length, o->to) != o->held_length ||
		fflush(o->to) != 0)) {
		rc = errno != 0 ? -errno : -EIO;
	}
	free(o->held_text);
	o->held_text = NULL;
	o->held = open_memstream(&o->held_text, &o->held_length);
	return rc == 0 && o->held == NULL ? -ENOMEM : rc;
}

static bool
is_time(const struct output *o, unsigned i, const struct sql_value *v)
{
	return o->columns[i].kind == COLUMN_TIME_NS && v->type == DATABASE_INTEGER &&
	       v->integer >= 0;
}

/* Returns the number of characters. */
static unsigned
write_cell(const struct output *o, unsigned i, const struct sql_value *v, FILE *to)
{
	char iso[32];

	if (is_time(o, i, v)) {
		clock_format_iso((uint64_t)v->integer, iso);
		return (unsigned)fprintf(to, "%s", iso);
	}
	switch (v->type) {
	case DATABASE_INTEGER:
		return (unsigned)fprintf(to, "%" PRId64, v->integer);
	case DATABASE_REAL:
		return (unsigned)fprintf(to,
		    fabs(v->real) < 1e15 && fabs(v->real) >= 0.001 ? "%.3f" : "%.4g",
		    v->real);
	case DATABASE_TEXT:
		return (unsigned)escape_text(to, v->text);
	case DATABASE_NULL:
		break;
	}
	fputc('-', to);
	return 1;
}

static bool
is_right_aligned(const struct output *o, unsigned i)
{
	return o->columns[i].kind == COLUMN_INTEGER ||
	       o->columns[i].kind == COLUMN_REAL;
}

static unsigned
last_shown(const struct output *o)
{
	unsigned last = 0;

	for (unsigned i = 0; i < o->count; i++) {
		last = o->is_shown[i] ? i : last;
	}
	return last;
}

static void
write_padded(struct output *o, unsigned i, const char *text, unsigned width)
{
	unsigned blanks = o->widths[i] > width ? o->widths[i] - width : 0;
	bool is_last = i == last_shown(o);

	if (is_right_aligned(o, i)) {
		fprintf(o->held, "%*s%s", (int)blanks, "", text);
	} else {
		fprintf(o->held, "%s%*s", text, is_last ? 0 : (int)blanks, "");
	}
	if (is_last) {
		fputc('\n', o->held);
	} else {
		fprintf(o->held, "%*s", GAP, "");
	}
}

/* Columns are taken from the left while the terminal has room; the one that the rows
 * are ordered by keeps its place wherever it is. */
static void
choose_columns(struct output *o)
{
	unsigned width = o->settings.width, used = 0;
	unsigned keep = (unsigned)o->settings.keep;
	bool has_keep = o->settings.keep >= 0 && keep < o->count;
	bool is_full = false;

	if (has_keep) {
		used = o->widths[keep];
		o->is_shown[keep] = true;
	}
	for (unsigned i = 0; i < o->count; i++) {
		unsigned more = o->widths[i] + (used > 0 ? GAP : 0);
		if (has_keep && i == keep) {
			continue;
		}
		is_full = is_full || (width > 0 && used > 0 && used + more > width);
		o->is_shown[i] = !is_full;
		o->left_out += is_full;
		used += is_full ? 0 : more;
	}
}

static void
write_sample(struct output *o)
{
	for (unsigned i = 0; i < o->count; i++) {
		o->widths[i] = (unsigned)strlen(o->columns[i].shown);
		for (unsigned r = 0; r < o->sampled; r++) {
			unsigned w = o->sample[(size_t)r * o->count + i].width;
			o->widths[i] = w > o->widths[i] ? w : o->widths[i];
		}
	}
	choose_columns(o);
	for (unsigned i = 0; i < o->count; i++) {
		if (o->is_shown[i]) {
			write_padded(o, i, o->columns[i].shown,
			    (unsigned)strlen(o->columns[i].shown));
		}
	}
	for (size_t k = 0; k < (size_t)o->sampled * o->count; k++) {
		struct cell *c = &o->sample[k];
		if (o->is_shown[k % o->count]) {
			write_padded(o, (unsigned)(k % o->count), c->text, c->width);
		}
		free(c->text);
	}
	free(o->sample);
	o->sample = NULL;
}

static int
table_row(struct output *o, const struct sql_value *values)
{
	if (o->sample != NULL && o->sampled == SAMPLE_ROWS) {
		write_sample(o);
	}
	for (unsigned i = 0; i < o->count; i++) {
		struct cell c = {0};
		size_t length;
		FILE *f;
		if (o->sample == NULL && !o->is_shown[i]) {
			continue;
		}
		f = open_memstream(&c.text, &length);
		if (f == NULL) {
			return -ENOMEM;
		}
		c.width = write_cell(o, i, &values[i], f);
		if (fclose(f) != 0) {
			free(c.text);
			return -ENOMEM;
		}
		if (o->sample != NULL) {
			free(o->sample[(size_t)o->sampled * o->count + i].text);
			o->sample[(size_t)o->sampled * o->count + i] = c;
		} else {
			write_padded(o, i, c.text, c.width);
			free(c.text);
		}
	}
	o->sampled += o->sample != NULL;
	return 0;
}

static const char *
plain_name(const struct output *o, unsigned i)
{
	return o->settings.is_iso ? o->columns[i].shown : o->columns[i].name;
}

static void
csv_header(struct output *o)
{
	for (unsigned i = 0; i < o->count; i++) {
		fputs(i > 0 ? "," : "", o->held);
		escape_csv(o->held, plain_name(o, i));
	}
	fputs("\r\n", o->held);
}

static void
csv_text(struct output *o, const char *text)
{
	char *escaped = NULL;
	size_t length;
	FILE *f = o->settings.is_terminal ? open_memstream(&escaped, &length) : NULL;

	if (f == NULL) {
		escape_csv(o->held, text);
		return;
	}
	escape_text(f, text);
	if (fclose(f) == 0) {
		escape_csv(o->held, escaped);
	}
	free(escaped);
}

static void
csv_value(struct output *o, unsigned i, const struct sql_value *v)
{
	char text[32];

	if (o->settings.is_iso && is_time(o, i, v)) {
		write_cell(o, i, v, o->held);
		return;
	}
	switch (v->type) {
	case DATABASE_INTEGER:
		fprintf(o->held, "%" PRId64, v->integer);
		break;
	case DATABASE_REAL:
		fputs(digits_real(text, v->real), o->held);
		break;
	case DATABASE_TEXT:
		csv_text(o, v->text);
		break;
	case DATABASE_NULL:
		break;
	}
}

static void
json_value(struct output *o, unsigned i, const struct sql_value *v)
{
	char text[32];

	if (o->settings.is_iso && is_time(o, i, v)) {
		fputc('"', o->held);
		write_cell(o, i, v, o->held);
		fputc('"', o->held);
		return;
	}
	switch (v->type) {
	case DATABASE_INTEGER:
		fprintf(o->held, "%" PRId64, v->integer);
		break;
	case DATABASE_REAL:
		fputs(isfinite(v->real) ? digits_real(text, v->real) : "null", o->held);
		break;
	case DATABASE_TEXT:
		escape_json(o->held, v->text);
		break;
	case DATABASE_NULL:
		fputs("null", o->held);
		break;
	}
}

int
output_row(struct output *o, const struct sql_value *values)
{
	int rc = 0;

	switch (o->settings.format) {
	case OUTPUT_TABLE:
		rc = table_row(o, values);
		break;
	case OUTPUT_CSV:
		if (o->rows == 0) {
			csv_header(o);
		}
		for (unsigned i = 0; i < o->count; i++) {
			fputs(i > 0 ? "," : "", o->held);
			csv_value(o, i, &values[i]);
		}
		fputs("\r\n", o->held);
		break;
	case OUTPUT_JSON:
		fputs(o->rows == 0 ? "[\n{" : ",\n{", o->held);
		for (unsigned i = 0; i < o->count; i++) {
			fputs(i > 0 ? "," : "", o->held);
			escape_json(o->held, plain_name(o, i));
			fputc(':', o->held);
			json_value(o, i, &values[i]);
		}
		fputc('}', o->held);
		break;
	}
	o->rows++;
	if (rc == 0 && ftell(o->held) >= (long)HOLD_BYTES) {
		rc = hand_over(o);
	}
	return rc;
}

int
output_end(struct output *o)
{
	switch (o->settings.format) {
	case OUTPUT_TABLE:
		if (o->sample != NULL) {
			write_sample(o);
		}
		break;
	case OUTPUT_CSV:
		if (o->rows == 0) {
			csv_header(o);
		}
		break;
	case OUTPUT_JSON:
		fputs(o->rows == 0 ? "[]\n" : "\n]\n", o->held);
		break;
	}
	return hand_over(o);
}
