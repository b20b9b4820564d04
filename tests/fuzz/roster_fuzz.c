/* The peers' file as an operator might have mistyped it: read, or refused with a place
 * and a sentence; and each peer on it is introduced with a name and domains that can
 * be read. */
#include <stdlib.h>
#include <string.h>

#include "collector/door/roster.h"
#include "collector/journal/domain_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
check(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void
introduce(const struct roster *r, const char *identity, const char *peer)
{
	struct session_identity who = {0};
	struct domain_ranges domains;

	strcpy(who.identity, identity);
	(void)endpoint_parse(peer, &who.peer); /* else :: */
	if (roster_introduce(r, &who)) {
		check(memchr(who.name, '\0', sizeof who.name) != NULL);
		check(memchr(who.domains, '\0', sizeof who.domains) != NULL);
		check(domain_ranges_parse(who.domains, &domains) == 0);
	} else {
		check(who.name[0] == '\0' && who.domains[0] == '\0');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const identities[] = {
	    "", "a.example", "x.b.example", "deep.x.b.example", "*.b.example"};
	static const char *const peers[] = {
	    "192.0.2.1:4739", "10.1.2.3:1", "[2001:db8::1]:9", "[fe80::1]:9", "?"};
	struct roster *r = NULL;
	struct err e = {""};

	if (roster_parse("fuzz", bytes, length, &r, &e) < 0) {
		check(r == NULL && strncmp(e.text, "fuzz", 4) == 0);
		return 0;
	}
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned k = 0; k < 5; k++) {
			introduce(r, identities[i], peers[k]);
		}
		check(
		    !roster_has_identity(r, identities[i]) || identities[i][0] != '\0');
	}
	roster_free(r);
	return 0;
}
