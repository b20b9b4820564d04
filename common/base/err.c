#include "common/base/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64 /* longer words are not compared */

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list args;

	if (e != NULL) {
		va_start(args, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, args);
		va_end(args);
	}
	return code;
}

int
err_prefix(struct err *e, int code, const char *fmt, ...)
{
	char rest[sizeof e->text];
	va_list args;
	size_t used;
	int n;

	if (e == NULL) {
		return code;
	}
	memcpy(rest, e->text, sizeof rest);
	va_start(args, fmt);
	n = vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	used = n < 0 ? 0 : (size_t)n;
	if (used + 3 < sizeof e->text) {
		size_t room = sizeof e->text - used - 3, length = strlen(rest);
		length = length < room ? length : room;
		memcpy(e->text + used, ": ", 2);
		memcpy(e->text + used + 2, rest, length);
		e->text[used + 2 + length] = '\0';
	}
	return code;
}

static unsigned
smallest(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance without regard to case, where inserting, deleting, replacing and
 * swapping two neighbours cost 1 each (optimal string alignment). */
static unsigned
edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= nb; j++) {
		last[j] = (unsigned)j;
	}
	for (size_t i = 1; i <= na; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			int ca = tolower((unsigned char)a[i - 1]);
			int cb = tolower((unsigned char)b[j - 1]);
			row[j] = smallest(
			    last[j] + 1, row[j - 1] + 1, last[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) &&
			    before[j - 2] + 1 < row[j]) {
				row[j] = before[j - 2] + 1;
			}
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}

const char *
err_nearest(const char *word, const char *const *candidates, unsigned n)
{
	size_t length = strlen(word);
	const char *best = NULL;
	unsigned best_distance;

	if (length == 0 || length > WORD_MAX) {
		return NULL;
	}
	best_distance = (unsigned)(length < 3 ? 1 : length / 3) + 1;
	for (unsigned i = 0; i < n; i++) {
		size_t other = candidates[i] == NULL ? 0 : strlen(candidates[i]);
		unsigned d;
		if (other == 0 || other > WORD_MAX) {
			continue;
		}
		d = edit_distance(word, length, candidates[i], other);
		if (d < best_distance && d < other) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
