/* The sentence that goes with a negative return code.
 * Whoever fails writes what is wrong, where, and what would be right; whoever reports
 * prints it once.  No allocation; a struct err lives on the caller's stack. */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

struct err {
	char text[512];
};

/* Writes the sentence and returns code, so that `return err_set(e, -EINVAL, "...")`
 * reads well. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence that is there; returns code. */
int err_prefix(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The candidate nearest to word (edit distance at most a third of its length), or NULL.
 * candidates is an array of n strings; NULL entries are skipped. */
const char *err_nearest(const char *word, const char *const *candidates, unsigned n);

#endif
