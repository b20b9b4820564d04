#include "collector/protocol/drop.h"

static const struct {
	const char *name, *sentence, *unit;
} drops[SESSION_DROPS] = {
    [SESSION_NO_TEMPLATE] = {"no-template", "data whose template never came", "sets"},
    [SESSION_BAD_MESSAGE] = {"bad-message",
	"a header or the length of a set is impossible, or the protocol is unknown",
	"messages"},
    [SESSION_BAD_TEMPLATE] = {"bad-template", "a template is malformed", "templates"},
    [SESSION_BAD_RECORD] = {"bad-record", "a record extends beyond its set", "sets"},
    [SESSION_REFUSED_TEMPLATE] = {"refused-template",
	"more templates or fields than the limit", "templates"},
    [SESSION_UNKNOWN_SESSION] = {"unknown-session",
	"a message of a session that never began", "messages"},
    [SESSION_REFUSED_DOMAIN] = {"refused-domain",
	"more observation domains than the limit", "messages"},
    [SESSION_FORBIDDEN_DOMAIN] = {"forbidden-domain",
	"an observation domain that this peer may not use", "messages"},
    [SESSION_IGNORED_WITHDRAWAL] = {"ignored-withdrawal",
	"a template was withdrawn over UDP", "templates"},
    [SESSION_REPEATED] = {"repeated", "a spool sent a message again", "messages"},
    [SESSION_BAD_SAMPLE] = {"bad-sample", "a length in an sFlow sample is impossible",
	"samples"},
    [SESSION_UNKNOWN_SAMPLE] = {"unknown-sample",
	"an sFlow sample holds neither a packet nor counters", "samples"},
    [SESSION_BAD_LIST] = {"bad-list", "a list in a record is malformed",
	"lists, in records that are kept"},
    [SESSION_LIST_TEMPLATE] = {"list-no-template",
	"a list in a record whose template never came",
	"lists, in records that are kept"},
    [SESSION_LONG_LIST] = {"long-list", "a list is longer than its column holds",
	"texts, in records that are kept"},
    [SESSION_NO_MEMORY] = {"no-memory", "the collector was short of memory",
	"records, sets, templates or messages"},
};

const char *
session_drop_name(enum session_drop d)
{
	return d < SESSION_DROPS ? drops[d].name : "unknown";
}

const char *
session_drop_sentence(enum session_drop d)
{
	return d < SESSION_DROPS ? drops[d].sentence : "";
}

const char *
session_drop_unit(enum session_drop d)
{
	return d < SESSION_DROPS ? drops[d].unit : "";
}
