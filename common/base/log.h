/* Log lines for operators: stderr, one line each, "level: sentence".
 * Programs log; common/ does not log above debug.  Never per packet or per record.
 * Threads: any; a line is one write(2). */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped.  Start: LOG_INFO.  Set once, before threads
 * start. */
void log_set_level(enum log_level level);
/* Text put before every line, as "flowpair-collector"; borrowed. */
void log_set_program(const char *name);

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
