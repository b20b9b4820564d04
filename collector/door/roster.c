#include "collector/door/roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/journal/domain_range.h"
#include "common/config/yaml.h"

#define SHOWN 100 /* of a text in a sentence */

struct entry {
	char identity[256]; /* "host.example", "*.edge.example"; "": by address */
	struct address prefix;
	unsigned bits;
	char name[128];    /* "": as without a roster */
	char domains[256]; /* "1,5-9"; "": every domain */
	const struct yaml_node *node;
};

struct roster {
	struct entry *identities; /* by identity, as strcasecmp() orders them */
	struct entry *addresses;  /* the longest prefixes first */
	size_t identity_count, address_count;
	uint8_t lengths[129]; /* of the prefixes: those there are, the longest first */
	unsigned length_count;
};

static int
by_identity(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcasecmp(x->identity, y->identity);
}

static int
by_prefix(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->bits != y->bits) {
		return x->bits > y->bits ? -1 : 1;
	}
	return memcmp(&x->prefix, &y->prefix, sizeof x->prefix);
}

/* Looking up. */

static const struct entry *
find_name(const struct roster *r, const char *identity)
{
	struct entry key;

	if (snprintf(key.identity, sizeof key.identity, "%s", identity) >=
	    (int)sizeof key.identity) {
		return NULL;
	}
	return bsearch(&key, r->identities, r->identity_count, sizeof key, by_identity);
}

/* The name itself, else the wildcard in place of its first label. */
static const struct entry *
find_identity(const struct roster *r, const char *identity)
{
	const struct entry *found = NULL;
	const char *dot = strchr(identity, '.');
	char pattern[256];

	if (identity[0] != '*') { /* a certificate's own wildcard names no peer */
		found = find_name(r, identity);
	}
	if (found == NULL && dot != NULL && dot != identity && identity[0] != '*' &&
	    snprintf(pattern, sizeof pattern, "*%s", dot) < (int)sizeof pattern) {
		found = find_name(r, pattern);
	}
	return found;
}

/* Asked for every datagram without a session, which anybody can send: so it searches
 * one length of prefixes after the other, not entry by entry. */
static const struct entry *
find_address(const struct roster *r, const struct address *a)
{
	const struct entry *found = NULL;
	struct entry key;

	key.prefix = *a;
	for (unsigned i = 0; found == NULL && i < r->length_count; i++) {
		key.bits = r->lengths[i];
		for (unsigned k = 0; k < sizeof a->bytes; k++) {
			unsigned bits = key.bits < 8 * k ? 0 : key.bits - 8 * k;
			key.prefix.bytes[k] &=
			    (uint8_t)(0xff00u >> (bits < 8 ? bits : 8));
		}
		found = bsearch(
		    &key, r->addresses, r->address_count, sizeof key, by_prefix);
	}
	return found;
}

bool
roster_has_identity(const struct roster *r, const char *identity)
{
	return r == NULL || find_identity(r, identity) != NULL;
}

bool
roster_has_address(const struct roster *r, const struct address *a)
{
	return r == NULL || find_address(r, a) != NULL;
}

bool
roster_introduce(const struct roster *r, struct session_identity *who)
{
	const struct entry *x = NULL;

	who->name[0] = who->domains[0] = '\0';
	if (r == NULL) {
		return true;
	}
	if (who->identity[0] != '\0') {
		x = find_identity(r, who->identity);
	} else {
		x = find_address(r, &who->peer.address);
	}
	if (x == NULL) {
		return false;
	}
	memcpy(who->name, x->name, sizeof who->name);
	memcpy(who->domains, x->domains, sizeof who->domains);
	return true;
}

/* Reading. */

/* Whether a node is a text that fits. */
static int
check_text(const struct yaml *y, const struct yaml_node *node, const char *what,
    size_t capacity, struct err *e)
{
	size_t n;

	if (node->kind != YAML_SCALAR || node->text[0] == '\0') {
		return yaml_complain(y, node, e, "expected %s", what);
	}
	n = strlen(node->text);
	if (n >= capacity) {
		return yaml_complain(
		    y, node, e, "longer than %zu characters", capacity - 1);
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)node->text[i];
		if (c < 0x20 || c == 0x7f) {
			return yaml_complain(
			    y, node, e, "control characters are not allowed here");
		}
	}
	return 0;
}

static int
read_identity(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	const char *star;
	int rc = check_text(y, node,
	    "the name in a certificate, like host.example or *.edge.example",
	    sizeof x->identity, e);

	if (rc < 0) {
		return rc;
	}
	strcpy(x->identity, node->text);
	star = strrchr(x->identity, '*');
	if (star != NULL &&
	    (star != x->identity || star[1] != '.' || star[2] == '\0')) {
		return yaml_complain(y, node, e,
		    "'%.*s': a wildcard stands for the whole first label, as in "
		    "*.edge.example",
		    SHOWN, node->text);
	}
	return 0;
}

static int
read_name(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	int rc = check_text(y, node, "the name of an exporter", sizeof x->name, e);

	if (rc == 0) {
		strcpy(x->name, node->text);
	}
	return rc;
}

static int
read_address(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	if (node->kind != YAML_SCALAR ||
	    address_parse_prefix(node->text, &x->prefix, &x->bits) < 0) {
		return yaml_complain(y, node, e,
		    "'%.*s' is not an address or a prefix like 192.0.2.0/24 or "
		    "2001:db8::/32 (whose bits beyond the prefix are zero)",
		    SHOWN, node->kind == YAML_SCALAR ? node->text : "this");
	}
	return 0;
}

/* Adds "1" or "5-9" to the domains. */
static int
add_range(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	size_t used = strlen(x->domains);
	struct domain_ranges r;

	if (node->kind != YAML_SCALAR || node->text[0] == '\0' ||
	    strchr(node->text, ',') != NULL ||
	    domain_ranges_parse(node->text, &r) < 0) {
		return yaml_complain(y, node, e,
		    "expected an observation domain like 1, or a range like "
		    "5-9%s%.*s%s",
		    node->kind == YAML_SCALAR ? ", not '" : "", SHOWN,
		    node->kind == YAML_SCALAR ? node->text : "",
		    node->kind == YAML_SCALAR ? "'" : "");
	}
	if (snprintf(x->domains + used, sizeof x->domains - used, "%s%s",
		used > 0 ? "," : "", node->text) >= (int)(sizeof x->domains - used) ||
	    domain_ranges_parse(x->domains, &r) < 0) {
		return yaml_complain(y, node, e,
		    "too many ranges of domains (at most %u, and %zu characters in all)",
		    DOMAIN_RANGES, sizeof x->domains - 1);
	}
	return 0;
}

static int
read_domains(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	int rc = 0;

	if (node->kind != YAML_LIST) {
		return add_range(y, node, x, e);
	}
	if (node->count == 0) {
		return yaml_complain(y, node, e,
		    "a peer with no domains could send nothing: remove 'domains' to "
		    "permit all, or remove the peer");
	}
	for (unsigned i = 0; rc == 0 && i < node->count; i++) {
		rc = add_range(y, node->items[i], x, e);
	}
	return rc;
}

static int
read_entry(
    const struct yaml *y, const struct yaml_node *node, struct entry *x, struct err *e)
{
	static const char *const keys[] = {"identity", "address", "name", "domains"};
	const struct yaml_node *identity = yaml_get(node, "identity");
	const struct yaml_node *address = yaml_get(node, "address");
	const struct yaml_node *name = yaml_get(node, "name");
	const struct yaml_node *domains = yaml_get(node, "domains");
	int rc;

	*x = (struct entry){.node = node};
	if (node->kind != YAML_MAP) {
		return yaml_complain(
		    y, node, e, "expected a peer: its 'identity' or 'address'");
	}
	rc = yaml_check_keys(y, node, keys, sizeof keys / sizeof *keys, e);
	if (rc == 0 && (identity == NULL) == (address == NULL)) {
		rc = yaml_complain(y, node, e,
		    identity == NULL ? "a peer needs 'identity' or 'address'"
				     : "a peer has 'identity' or 'address', not both");
	}
	if (rc == 0) {
		rc = identity != NULL ? read_identity(y, identity, x, e)
				      : read_address(y, address, x, e);
	}
	if (rc == 0 && name != NULL) {
		rc = read_name(y, name, x, e);
	}
	if (rc == 0 && domains != NULL) {
		rc = read_domains(y, domains, x, e);
	}
	return rc;
}

/* No peer is listed twice. */
static int
check_order(const struct yaml *y, const struct entry *sorted, size_t n,
    int (*compare)(const void *a, const void *b), struct err *e)
{
	for (size_t i = 1; i < n; i++) {
		const struct entry *x = &sorted[i - 1], *later = &sorted[i];
		if (compare(x, later) != 0) {
			continue;
		}
		if (later->node->line < x->node->line) {
			const struct entry *swapped = x;
			x = later;
			later = swapped;
		}
		return yaml_complain(y, later->node, e,
		    "this peer is already listed in line %u", x->node->line);
	}
	return 0;
}

static void
note_lengths(struct roster *r)
{
	for (size_t i = 0; i < r->address_count; i++) {
		unsigned bits = r->addresses[i].bits;
		if (i == 0 || bits != r->addresses[i - 1].bits) {
			r->lengths[r->length_count++] = (uint8_t)bits;
		}
	}
}

static int
read_entries(
    const struct yaml *y, const struct yaml_node *list, struct roster *r, struct err *e)
{
	int rc = 0;

	r->identities = calloc(list->count + 1, sizeof *r->identities);
	r->addresses = calloc(list->count + 1, sizeof *r->addresses);
	if (r->identities == NULL || r->addresses == NULL) {
		return err_set(e, -ENOMEM, "no memory for %u peers", list->count);
	}
	for (unsigned i = 0; i < list->count; i++) {
		struct entry x;
		rc = read_entry(y, list->items[i], &x, e);
		if (rc < 0) {
			return rc;
		}
		if (x.identity[0] != '\0') {
			r->identities[r->identity_count++] = x;
		} else {
			r->addresses[r->address_count++] = x;
		}
	}
	qsort(r->identities, r->identity_count, sizeof *r->identities, by_identity);
	qsort(r->addresses, r->address_count, sizeof *r->addresses, by_prefix);
	note_lengths(r);
	rc = check_order(y, r->identities, r->identity_count, by_identity, e);
	return rc < 0 ? rc
		      : check_order(y, r->addresses, r->address_count, by_prefix, e);
}

static int
read_roster(const struct yaml *y, struct roster **ret, struct err *e)
{
	static const char *const keys[] = {"peers"};
	const struct yaml_node *root = yaml_root(y), *list = yaml_get(root, "peers");
	struct roster *r = NULL;
	int rc;

	if (root == NULL) {
		return err_set(e, -EINVAL,
		    "%.160s is empty: expected a list of peers under the key 'peers'",
		    yaml_name(y));
	}
	if (root->kind == YAML_MAP) {
		rc = yaml_check_keys(y, root, keys, 1, e);
		if (rc < 0) {
			return rc;
		}
	}
	if (list == NULL || list->kind != YAML_LIST) {
		return yaml_complain(y, list == NULL ? root : list, e,
		    "expected a list of peers under the key 'peers'");
	}
	r = calloc(1, sizeof *r);
	rc = r == NULL ? err_set(e, -ENOMEM, "no memory for the peers")
		       : read_entries(y, list, r, e);
	if (rc < 0) {
		roster_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

int
roster_parse(const char *name, const void *bytes, size_t length, struct roster **ret,
    struct err *e)
{
	struct yaml *y;
	int rc = yaml_parse(name, bytes, length, &y, e);

	if (rc == 0) {
		rc = read_roster(y, ret, e);
		yaml_unload(y);
	}
	return rc;
}

int
roster_load(const char *path, struct roster **ret, struct err *e)
{
	struct yaml *y;
	int rc = yaml_load(path, &y, e);

	if (rc == 0) {
		rc = read_roster(y, ret, e);
		yaml_unload(y);
	}
	return rc;
}

void
roster_free(struct roster *r)
{
	if (r != NULL) {
		free(r->identities);
		free(r->addresses);
		free(r);
	}
}
