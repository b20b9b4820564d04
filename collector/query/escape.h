/* Text from the tables as it is shown.  Packets and peers sent it, so control
 * characters, characters that turn the direction of writing and invalid UTF-8 are
 * escaped before they reach a terminal.  Threads: any. */
#ifndef COLLECTOR_QUERY_ESCAPE_H
#define COLLECTOR_QUERY_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* With \n, \t, \x1b, \u{202e}; returns the number of characters written. */
size_t escape_text(FILE *to, const char *text);
/* RFC 4180: quoted where needed. */
void escape_csv(FILE *to, const char *text);
/* RFC 8259, with the quotes; invalid UTF-8 becomes U+FFFD. */
void escape_json(FILE *to, const char *text);

#endif
