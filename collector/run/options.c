#include "collector/run/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/ipfix/element.h"
#include "common/schemes/schemes.h"

static const char *const compacts[] = {"auto", "never", NULL};
static const char *const udp_sessions[] = {"port", "address", NULL};

static char listen_help[512]; /* options_parse() names the transports */

#define AT(field) .offset = offsetof(struct options, field)

static const struct option table[] = {
    {ROW_LIST("listen", "URI"), AT(listen), .letter = 'l', .section = "Input",
	.help = listen_help},
    {ROW_LIST("read", "FILE"), AT(files), .letter = 'r',
	.help = "Import this file and exit when it is stored: IPFIX, or a capture "
		"(pcap, pcapng) of IPFIX, NetFlow v9 or v5, or sFlow v5 over UDP, also "
		".gz and .zst.  Content that the store already has is skipped: of a "
		"file that has grown, only what is new is imported.  May be repeated."},
    {ROW_STRING("exporter", "NAME"), AT(exporter),
	.help =
	    "Use this as the exporter name of every record, instead of a name taken "
	    "from the certificate, the address or the file."},
    {ROW_STRING("port-file", "FILE"), AT(port_file),
	.help = "When ready, write the URIs of all listeners to this file, one per "
		"line."},

    {ROW_STRING("store", "TARGET"), AT(store), .letter = 's', .section = "Tables",
	.help = "Keep the tables in this directory, given as DIR or sqlite:DIR."},
    {ROW_LIST("tables", "NAME[,NAME...]"), AT(tables),
	.help = "Keep only these tables instead of all that the schemas declare.  May "
		"be repeated."},
    {ROW_NUMBER("max-keys", "1M", 1, 1000000000), AT(max_keys),
	.help = "Gather at most this many rows of a table in memory before storing "
		"them.  A higher limit lets more records share a row; each row takes "
		"about 250 bytes."},
    {ROW_DURATION("flush-interval", "10s", NS_PER_MS, 0), AT(flush_interval_ns),
	.help = "Write received records to the tables at least this often.  Imports "
		"write when a table is full and at the end."},
    {ROW_DURATION("lateness", "2d", 0, 0), AT(lateness_ns),
	.help = "File records under their arrival time when they start longer ago than "
		"this, so that a router with a wrong clock cannot create tables for "
		"bogus days.  Imports and peers with a verified certificate are "
		"exempt."},
    {ROW_DURATION("skew", "1h", 0, 0), AT(skew_ns),
	.help = "File records under their arrival time when they start more than this "
		"far in the future.  Imports are exempt."},
    {ROW_DURATION("template-lifetime", "1d", 0, 0), AT(template_lifetime_ns),
	.help = "Forget a template received over UDP when it has not been repeated for "
		"this time.  Data for such a template is held until the template is "
		"sent again."},
    {ROW_CHOICE("compact", "WHEN", "auto", compacts), AT(compact),
	.help = "Reduce days that ended longer ago than --lateness to one row per key, "
		"with indexes on the addresses: auto (after tables are stored and "
		"after imports) or never.  Takes about 2 s for a million rows."},

    {ROW_STRING("journal", "DIR"), AT(journal), .section = "Journal",
	.help = "Keep received messages in this directory until the tables have them.  "
		"Default: journal/ in the store's directory."},
    {ROW_SIZE("journal-size", "4GiB", 16 << 20, 0), AT(journal_bytes),
	.help = "Largest size of the journal.  When it is full, exporters wait until "
		"tables are stored.  When half of it is in use, tables are stored at "
		"once, before --flush-interval has passed."},
    {ROW_SIZE("segment-size", "64MiB", 4 << 20, 0), AT(segment_bytes),
	.help = "Size of each journal file.  A file is deleted as a whole once the "
		"tables have what it holds."},
    {ROW_DURATION("sync-interval", "200ms", NS_PER_MS, NS_PER_MINUTE),
	AT(sync_interval_ns),
	.help = "Make received messages durable at least this often."},
    {ROW_FLAG("skip-damaged-journal"), AT(skip_damaged_journal),
	.help = "Skip damaged parts of the journal, and report how much was lost."},

    {ROW_STRING("peers", "FILE"), AT(peers), .section = "Peers",
	.help = "Accept only the peers in this file, which also says their names and "
		"observation domains: see PEERS in the manual.  Without it, any peer "
		"may send; over encrypted transports it needs a valid certificate."},
    {ROW_FLAG("insecure-no-client-auth"), AT(insecure_no_client_auth),
	.help = "Accept TLS clients that present no certificate."},
    {ROW_NUMBER("max-peers", "1000", 1, 100000), AT(max_peers),
	.help = "Allow at most this many connections at a time."},
    {ROW_NUMBER("max-peers-per-address", "256", 0, 100000), AT(max_peers_per_address),
	.help = "Allow at most this many connections at a time from one address, or "
		"one IPv6 /64; 0: no limit but --max-peers."},
    {ROW_NUMBER("max-handshakes", "256", 0, 100000), AT(max_half_open),
	.help = "Allow at most this many connections at a time that have not completed "
		"their handshake or, without a certificate, have not sent a message "
		"yet.  When there are more, the oldest of them is closed; 0: no limit "
		"but --max-peers."},
    {ROW_NUMBER("max-spools", "65536", 1, 1000000), AT(max_spools),
	.help = "How many exporter spools to track.  When full, a new spool is refused "
		"until one has been silent for a week.  However, when its "
		"certificate identity has less than an equal share, the new spool "
		"replaces one of an identity that has more."},
    {ROW_DURATION("handshake-timeout", "10s", NS_PER_MS, 0), AT(handshake_timeout_ns),
	.help =
	    "Close a connection whose TLS or DTLS handshake takes longer than this."},
    {ROW_NUMBER("max-errors", "1000", 0, 1000000000), AT(max_errors),
	.help =
	    "Close a connection after more than this many errors within a minute: "
	    "messages, sets and templates that are malformed or exceed a limit, and "
	    "messages of forbidden domains; 0: never."},
    {ROW_DURATION("message-timeout", "30s", NS_PER_MS, 0), AT(message_timeout_ns),
	.help = "Close a connection when a message takes longer than this from its "
		"first byte to its last."},
    {ROW_DURATION("idle-timeout", "0", 0, 0), AT(idle_timeout_ns),
	.help = "Close a connection that is silent for this time; 0: never."},

    {ROW_CHOICE("udp-sessions", "BY", "port", udp_sessions), AT(udp_sessions),
	.section = "Datagrams",
	.help = "What identifies a session over UDP, with its own templates and "
		"sequence numbers: port (each address and port) or address (for "
		"exporters that send templates and data from different ports)."},
    {ROW_NUMBER("udp-sources", "4096", 1, 1000000), AT(udp_sources),
	.help = "Track at most this many UDP sessions at a time for each listener.  "
		"A new session beyond that ends the one that has been idle longest: of "
		"the same host if that host has more than an eighth of this number, "
		"otherwise of all hosts."},
    {ROW_DURATION("udp-idle", "30min", 0, 0), AT(udp_idle_ns),
	.help = "End a UDP session that is silent for this time; 0: never.  Its "
		"templates and other state are kept for --template-lifetime in case it "
		"starts again.  Without --idle-timeout, DTLS over UDP connections are "
		"closed after this time too; their peers can connect again."},
    {ROW_SIZE("udp-buffer", "32MiB", 4096, 1 << 30), AT(udp_buffer_bytes),
	.help = "Ask the kernel for a receive buffer of this size for each udp:// "
		"listener.  It holds datagrams while the collector is busy.  Without "
		"privileges, net.core.rmem_max limits it."},

    {ROW_FLAG("check"), AT(check), .section = "Checks",
	.help = "Check options, schemas and certificates, and exit."},
    {ROW_FLAG("explain"), AT(explain),
	.help = "Print how records become rows, and the SQL of the tables, and exit."},
};

/* flowpair-collector.1.in: the manual's text. */
extern const char flowpair_collector_manual[];

static const struct option_program program = {
    .name = "flowpair-collector",
    .summary = "reduce flow records (IPFIX) to tables",
    .synopsis = "--listen URI [--listen URI ...] --store TARGET [option ...]\n"
		"-r FILE [-r FILE ...] --store TARGET [option ...]\n"
		"--check | --explain [option ...]",
    .manual = flowpair_collector_manual,
    .options = table,
    .count = sizeof table / sizeof *table,
    .has_shared = true,
    .shared = offsetof(struct options, shared),
};

static int
check_input(const struct options *o, struct err *e)
{
	if (o->check || o->explain) {
		return 0;
	}
	if (o->listen.count == 0 && o->files.count == 0) {
		return err_set(
		    e, -EINVAL, "nothing to do: give --listen URI or -r FILE");
	}
	if (o->listen.count > 0 && o->files.count > 0) {
		return err_set(e, -EINVAL,
		    "--listen and -r exclude each other: import files before "
		    "listening, or with a second command into another store");
	}
	if (o->files.count > 0 && (o->peers != NULL || o->port_file != NULL)) {
		return err_set(e, -EINVAL,
		    "--%s is only for --listen: files are imported from any exporter",
		    o->peers != NULL ? "peers" : "port-file");
	}
	if (o->store == NULL) {
		return err_set(
		    e, -EINVAL, "no store: give --store DIR, where to keep the tables");
	}
	return 0;
}

bool
options_is_secured(const struct options *o)
{
	return schemes_any_secure(o->listen.items, o->listen.count);
}

static int
check_peers(const struct options *o, struct err *e)
{
	for (unsigned i = 0; i < o->listen.count; i++) {
		struct transport_uri uri;
		int rc = schemes_parse_uri(o->listen.items[i], &uri, e);
		if (rc < 0) {
			return rc;
		}
		if (uri.scheme->is_secure &&
		    (o->shared.certificate == NULL || o->shared.key == NULL)) {
			return err_set(e, -EINVAL,
			    "--listen %s needs --certificate and --key",
			    o->listen.items[i]);
		}
		if (uri.scheme->is_secure && o->shared.ca == NULL &&
		    !o->insecure_no_client_auth) {
			return err_set(e, -EINVAL,
			    "--listen %s needs --ca, the authorities that issued the "
			    "exporters' certificates (or --insecure-no-client-auth)",
			    o->listen.items[i]);
		}
	}
	return 0;
}

static bool
has_table(const struct options *o, const char *name, size_t n)
{
	for (unsigned i = 0; i < o->table_count; i++) {
		if (strlen(o->table_names[i]) == n &&
		    memcmp(o->table_names[i], name, n) == 0) {
			return true;
		}
	}
	return false;
}

/* --tables pairs,services */
static int
split_tables(struct options *o, struct err *e)
{
	for (unsigned i = 0; i < o->tables.count; i++) {
		const char *at = o->tables.items[i];
		for (;;) {
			size_t n = strcspn(at, ",");
			char **more;
			if (has_table(o, at, n)) {
				return err_set(e, -EINVAL, "--tables names %.*s twice",
				    (int)n, at);
			}
			more = realloc(o->table_names,
			    (o->table_count + 1) * sizeof *o->table_names);
			if (more == NULL) {
				return err_set(e, -ENOMEM, "out of memory");
			}
			o->table_names = more;
			o->table_names[o->table_count] = strndup(at, n);
			if (o->table_names[o->table_count++] == NULL) {
				return err_set(e, -ENOMEM, "out of memory");
			}
			if (at[n] == '\0') {
				break;
			}
			at += n + 1;
		}
	}
	return 0;
}

int
options_parse(char **argv, struct options *ret, struct err *e)
{
	int rc;

	snprintf(listen_help, sizeof listen_help,
	    "Receive records at %s.  udp:// also accepts NetFlow v9 and v5 and sFlow "
	    "v5.  HOST * means every address of this host, port 0 any free port.  May "
	    "be repeated.",
	    schemes_text(true));
	rc = option_parse(&program, argv, ret, NULL, e);
	if (rc != 0) {
		return rc;
	}
	ret->table_names = NULL;
	ret->table_count = 0;
	rc = check_input(ret, e);
	if (rc == 0) {
		rc = elements_check_own_pen(ret->shared.own_pen, e);
	}
	if (rc == 0) {
		rc = check_peers(ret, e);
	}
	if (rc == 0) {
		rc = split_tables(ret, e);
	}
	if (rc < 0) {
		options_free(ret);
	}
	return rc;
}

void
options_free(struct options *o)
{
	for (unsigned i = 0; i < o->table_count; i++) {
		free(o->table_names[i]);
	}
	free(o->table_names);
	o->table_names = NULL;
	o->table_count = 0;
	option_free(&program, o, NULL);
}
