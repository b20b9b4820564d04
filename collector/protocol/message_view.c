#include "collector/protocol/message_view.h"

#include "common/ipfix/template.h"

/* 0: reserved. */
static uint16_t
ipfix_id(const struct protocol *p, uint16_t id)
{
	return id >= TEMPLATE_MIN_ID   ? id
	       : id == p->template_set ? TEMPLATE_SET_ID
	       : id == p->options_set  ? OPTIONS_TEMPLATE_SET_ID
				       : 0;
}

static void
add_set(struct message_view *v, uint16_t id, const struct cursor *body)
{
	v->has_templates |= id < TEMPLATE_MIN_ID;
	v->sets[v->set_count++] = (struct message_set){.id = id,
	    .at = (uint16_t)(body->at - v->bytes),
	    .length = (uint16_t)cursor_left(body)};
}

static void
walk_sets(struct message_view *v)
{
	struct cursor body = v->header.body, before = body, set;
	uint16_t id;
	int rc;

	for (; (rc = message_next_set(&body, &id, &set)) > 0; before = body) {
		id = ipfix_id(v->protocol, id);
		if (id != 0) {
			add_set(v, id, &set);
		}
	}
	v->is_broken = rc < 0 && !cursor_is_zero(before); /* zeros are padding */
}

void
message_view_read(const uint8_t *bytes, size_t length, struct message_view *v)
{
	v->bytes = bytes;
	v->length = length;
	v->protocol = NULL;
	v->has_templates = v->is_broken = false;
	v->set_count = 0;
	if (protocol_read(bytes, length, &v->protocol, &v->header) < 0) {
		return;
	}
	if (v->header.body.end - bytes > MESSAGE_MAX) {
		v->protocol = NULL;
	} else if (v->protocol->body == PROTOCOL_SETS) {
		walk_sets(v);
	} else if (v->protocol->body == PROTOCOL_RECORDS) {
		add_set(v, v->protocol->record_template, &v->header.body);
	}
}
