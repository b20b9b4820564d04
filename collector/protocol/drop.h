/* Why received data was dropped: sessions count it, summaries, metrics and table
 * `exporters` show it.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_DROP_H
#define COLLECTOR_PROTOCOL_DROP_H

/* Counted in records, or in sets where their records cannot be counted. */
enum session_drop {
	SESSION_NO_TEMPLATE,  /* sets */
	SESSION_BAD_MESSAGE,  /* messages: header or set lengths impossible */
	SESSION_BAD_TEMPLATE, /* template records */
	SESSION_BAD_RECORD,   /* sets whose variable-length record ran over its end */
	SESSION_REFUSED_TEMPLATE,   /* over the bound */
	SESSION_UNKNOWN_SESSION,    /* messages of a session that was never opened */
	SESSION_REFUSED_DOMAIN,     /* messages of one observation domain too many */
	SESSION_FORBIDDEN_DOMAIN,   /* messages of a domain that the peer may not use */
	SESSION_IGNORED_WITHDRAWAL, /* of templates, over UDP (RFC 7011 section 8.4) */
	SESSION_REPEATED,           /* messages that a spool sent twice */
	SESSION_BAD_SAMPLE,         /* samples of sFlow; those around it count */
	SESSION_UNKNOWN_SAMPLE, /* samples of sFlow, neither of packets nor counters */
	/* Of records that are stored all the same, where tables ask for structured
	 * data (RFC 6313): */
	SESSION_BAD_LIST,      /* lists: malformed */
	SESSION_LIST_TEMPLATE, /* lists whose template never came */
	SESSION_LONG_LIST,     /* texts that do not hold all of a list */
	/* Records, sets, templates, messages: the collector's fault, never the peer's */
	SESSION_NO_MEMORY,
	SESSION_DROPS,
};

const char *session_drop_name(enum session_drop d);     /* "no-template" */
const char *session_drop_sentence(enum session_drop d); /* "data came without ..." */
const char *session_drop_unit(enum session_drop d);     /* "sets" */

#endif
