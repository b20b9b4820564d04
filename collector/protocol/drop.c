#include "collector/protocol/drop.h"

static const struct {
	const char *name, *sentence, *unit;
} drops[DROPS] = {
    [DROP_NO_TEMPLATE] = {"no-template", "data whose template never came", "sets"},
    [DROP_BAD_MESSAGE] = {"bad-message",
	"a header or the length of a set is impossible, or the protocol is unknown",
	"messages"},
    [DROP_BAD_TEMPLATE] = {"bad-template", "a template is malformed", "templates"},
    [DROP_BAD_RECORD] = {"bad-record", "a record extends beyond its set", "sets"},
    [DROP_REFUSED_TEMPLATE] = {"refused-template",
	"more templates or fields than the limit", "templates"},
    [DROP_UNKNOWN_SESSION] = {"unknown-session",
	"a message of a session that never began", "messages"},
    [DROP_REFUSED_DOMAIN] = {"refused-domain",
	"more observation domains than the limit", "messages"},
    [DROP_FORBIDDEN_DOMAIN] = {"forbidden-domain",
	"an observation domain that this peer may not use", "messages"},
    [DROP_IGNORED_WITHDRAWAL] = {"ignored-withdrawal",
	"a template was withdrawn over UDP", "templates"},
    [DROP_REPEATED] = {"repeated", "a spool sent a message again", "messages"},
    [DROP_BAD_SAMPLE] = {"bad-sample", "a length in an sFlow sample is impossible",
	"samples"},
    [DROP_UNKNOWN_SAMPLE] = {"unknown-sample",
	"an sFlow sample holds neither a packet nor counters", "samples"},
    [DROP_BAD_LIST] = {"bad-list", "a list in a record is malformed",
	"lists; their records are kept"},
    [DROP_LIST_TEMPLATE] = {"list-no-template",
	"a list in a record whose template never came",
	"lists; their records are kept"},
    [DROP_LONG_LIST] = {"long-list", "a list is longer than its column holds",
	"texts; their records are kept"},
    [DROP_NO_MEMORY] = {"no-memory", "the collector was short of memory",
	"records, sets, templates or messages"},
};

const char *
drop_name(enum drop d)
{
	return d < DROPS ? drops[d].name : "unknown";
}

const char *
drop_sentence(enum drop d)
{
	return d < DROPS ? drops[d].sentence : "";
}

const char *
drop_unit(enum drop d)
{
	return d < DROPS ? drops[d].unit : "";
}
