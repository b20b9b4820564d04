#include "exporter/decode/packet.h"

const char *
packet_drop_name(enum packet_drop d)
{
	static const char *const names[PACKET_DROPS] = {
	    [PACKET_KEPT] = "kept",
	    [PACKET_NOT_IP] = "not-ip",
	    [PACKET_LINK_UNKNOWN] = "link-unknown",
	    [PACKET_LINK_TRUNCATED] = "link-truncated",
	    [PACKET_IP_TRUNCATED] = "ip-truncated",
	    [PACKET_IP_BAD] = "ip-bad",
	    [PACKET_IP_LENGTH_BEYOND] = "ip-length-beyond",
	    [PACKET_TRANSPORT_SHORT] = "transport-short",
	    [PACKET_TRANSPORT_CUT] = "transport-cut",
	    [PACKET_EXTENSIONS] = "extensions",
	    [PACKET_TABLE_FULL] = "table-full",
	};

	return (unsigned)d < PACKET_DROPS ? names[d] : "unknown";
}
