/* The sentence that goes with a negative return code.
 * The function that fails writes what is wrong, where, and what would be right; the one
 * that reports prints it once.  No allocation; a struct err lives on the caller's
 * stack. */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

struct err {
	char text[512];
};

/* Writes the sentence and returns code: `return err_set(e, -EINVAL, "...")`.  e may be
 * NULL. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence that is there; returns code. */
int err_prefix(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The candidate nearest to word (edit distance at most a third of its length), or NULL.
 * candidates is an array of n strings; NULL entries are skipped. */
const char *err_nearest(const char *word, const char *const *candidates, unsigned n);

#endif
