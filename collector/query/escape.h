/* Text from the tables as it is shown: it came from packets and peers, so control
 * characters, characters that turn the direction of writing, and bytes that are no
 * UTF-8 never reach a terminal as they are. */
#ifndef COLLECTOR_QUERY_ESCAPE_H
#define COLLECTOR_QUERY_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* With \n, \t, \x1b, \u{202e}; returns the number of characters written. */
size_t escape_text(FILE *to, const char *text);
/* RFC 4180: quoted where needed. */
void escape_csv(FILE *to, const char *text);
/* RFC 8259, with the quotes; bytes that are no UTF-8 become U+FFFD. */
void escape_json(FILE *to, const char *text);

#endif
