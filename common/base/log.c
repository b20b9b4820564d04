#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level log_level = LOG_INFO;
static const char *log_program;

void
log_set_level(enum log_level level)
{
	log_level = level;
}

void
log_set_program(const char *name)
{
	log_program = name;
}

/* What peers and files are called comes from outside: nothing of it may move the
 * terminal's cursor or begin a line of its own. */
static void
make_printable(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			text[i] = '?';
		}
	}
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {
	    [LOG_ERROR] = "error",
	    [LOG_WARNING] = "warning",
	    [LOG_INFO] = "info",
	    [LOG_DEBUG] = "debug",
	};
	int saved = errno;
	char line[1024];
	const size_t room = sizeof line - 1; /* the newline's place is kept */
	size_t head, used;
	va_list args;
	int n;

	if (level > log_level) {
		return;
	}
	n = snprintf(line, room, "%s%s%s: ", log_program == NULL ? "" : log_program,
	    log_program == NULL ? "" : ": ", names[level]);
	head = n < 0 ? 0 : (size_t)n >= room ? room - 1 : (size_t)n;
	va_start(args, fmt);
	n = vsnprintf(line + head, room - head, fmt, args);
	va_end(args);
	used = n < 0 ? 0 : (size_t)n;
	if (head + used >= room) {
		used = room - 1 - head;
	}
	make_printable(line + head, used);
	line[head + used] = '\n';
	/* A failed write to the log cannot be reported anywhere. */
	while (write(STDERR_FILENO, line, head + used + 1) < 0 && errno == EINTR) {
	}
	errno = saved;
}
