#include "collector/protocol/packet_section.h"

#include "collector/protocol/record_span.h"
#include "collector/protocol/sflow5.h"

enum { /* IANA elements */
	SOURCE_IPV4 = 8,
	INGRESS_INTERFACE = 10,
	EGRESS_INTERFACE = 14,
	SOURCE_IPV6 = 27,
	SAMPLING_INTERVAL = 34,
	FRAME_SIZE = 312,
	IP_HEADER_SECTION = 313,
	FRAME_SECTION = 315,
	EXPORTED_OCTETS = 410,
};

bool
packet_section_is(const struct template *t)
{
	return !t->is_options && template_find_field(t, 0, SOURCE_IPV4) < 0 &&
	       template_find_field(t, 0, SOURCE_IPV6) < 0 &&
	       (template_find_field(t, 0, FRAME_SECTION) >= 0 ||
		   template_find_field(t, 0, IP_HEADER_SECTION) >= 0);
}

struct cursor
packet_section_templates(void)
{
	return sflow5_template_set();
}

void
packet_section_read(
    const struct template *t, const struct cursor *fields, struct protocol_sample *ret)
{
	struct sflow5_packet p = {
	    .ingress = (uint32_t)record_span_number(t, fields, INGRESS_INTERFACE),
	    .egress = (uint32_t)record_span_number(t, fields, EGRESS_INTERFACE),
	    .rate = (uint32_t)record_span_number(t, fields, SAMPLING_INTERVAL),
	};
	int frame = template_find_field(t, 0, FRAME_SECTION);
	int i = frame >= 0 ? frame : template_find_field(t, 0, IP_HEADER_SECTION);
	uint32_t exported = (uint32_t)record_span_number(t, fields, EXPORTED_OCTETS);
	struct cursor bytes = fields[i];

	/* A field of fixed length is filled up behind a short packet. */
	if (exported > 0 && exported < cursor_left(&bytes)) {
		bytes.end = bytes.at + exported;
	}
	p.octets = (uint32_t)record_span_number(t, fields, FRAME_SIZE);
	sflow5_packet_read_bytes(
	    &p, frame >= 0 ? SFLOW5_HEADER_ETHERNET : SFLOW5_HEADER_IPV4, bytes);
	sflow5_write(&p, ret);
}
