#include "collector/protocol/drop.h"

static const struct {
	const char *name, *sentence, *unit;
} drops[SESSION_DROPS] = {
    [SESSION_NO_TEMPLATE] = {"no-template", "data whose template never came", "sets"},
    [SESSION_BAD_MESSAGE] = {"bad-message",
	"a header or the lengths of sets are impossible, or it is another protocol or "
	"version",
	"messages"},
    [SESSION_BAD_TEMPLATE] = {"bad-template", "a template is malformed", "templates"},
    [SESSION_BAD_RECORD] = {"bad-record", "a record runs over the end of its set",
	"sets"},
    [SESSION_REFUSED_TEMPLATE] = {"refused-template",
	"more templates or fields than are kept", "templates"},
    [SESSION_UNKNOWN_SESSION] = {"unknown-session",
	"a message of a session that never began", "messages"},
    [SESSION_REFUSED_DOMAIN] = {"refused-domain",
	"more observation domains than are kept", "messages"},
    [SESSION_FORBIDDEN_DOMAIN] = {"forbidden-domain",
	"an observation domain that this peer may not use", "messages"},
    [SESSION_IGNORED_WITHDRAWAL] = {"ignored-withdrawal",
	"a template was withdrawn over UDP", "templates"},
    [SESSION_REPEATED] = {"repeated", "a spool sent a message again", "messages"},
    [SESSION_BAD_SAMPLE] = {"bad-sample", "lengths in an sFlow sample are impossible",
	"samples"},
    [SESSION_UNKNOWN_SAMPLE] = {"unknown-sample",
	"an sFlow sample neither of a packet nor of counters", "samples"},
    [SESSION_BAD_LIST] = {"bad-list", "a list in a record is malformed",
	"lists, of records that are kept"},
    [SESSION_LIST_TEMPLATE] = {"list-no-template",
	"a list in a record whose template never came",
	"lists, of records that are kept"},
    [SESSION_LONG_LIST] = {"long-list", "a list is longer than its column holds",
	"texts, of records that are kept"},
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
