#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exporter/decode/decode.h"
#include "tests/unit/exporter/decode/support_frame.h"

/* Transport headers */
#define TCP_SYN   "c000 0050  01020304 00000000  50 02 0000 0000 0000 "
#define TCP_ACK   "c000 0050  01020304 00000000  50 10 0000 0000 0000 "
#define UDP       "c000 0035  0000 0000 "
#define ECHO      "08 00 0000 0001 0001 "
#define ECHO_BACK "00 00 0000 0001 0001 "

#define MORE_FRAGMENTS 0x2000

static struct decoder *decoder;
static struct packet out;

static int
set_up(void **state)
{
	(void)state;
	decoder = decoder_new(false);
	return decoder == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	decoder_free(decoder);
	return 0;
}

/* From memory of exactly the captured size, so that a read beyond it is seen. */
static enum packet_drop
decode_as(struct decoder *d, struct capture_packet in)
{
	enum packet_drop drop;
	uint8_t *copy = malloc(in.captured == 0 ? 1 : in.captured);

	assert_non_null(copy);
	memcpy(copy, in.bytes, in.captured);
	in.bytes = copy;
	memset(&out, 0xa5, sizeof out);
	drop = decode_packet(d, &in, &out);
	free(copy);
	return drop;
}

static enum packet_drop
decode_frame(const struct frame *f, int link_type)
{
	return decode_as(decoder, frame_packet(f, link_type));
}

static enum packet_drop
decode_ipv4(const char *source, const char *destination, uint8_t protocol,
    uint16_t fragment, const char *payload)
{
	struct frame f = {.length = 0};

	frame_ipv4(&f, source, destination, protocol, fragment, payload);
	return decode_frame(&f, FRAME_RAW);
}

static enum packet_drop
decode_ipv6(
    const char *source, const char *destination, uint8_t next, const char *payload)
{
	struct frame f = {.length = 0};

	frame_ipv6(&f, source, destination, next, payload);
	return decode_frame(&f, FRAME_RAW);
}

/* Ports of the sender and of the other end. */
static void
assert_ports(uint16_t source, uint16_t destination)
{
	assert_int_equal(out.from_high ? out.key.high_port : out.key.low_port, source);
	assert_int_equal(
	    out.from_high ? out.key.low_port : out.key.high_port, destination);
}

static void
a_tcp_packet_gives_all_its_values(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ethernet(&f, 0x0800);
	frame_ipv4(&f, "10.0.0.2", "10.0.0.1", 6, 0, TCP_SYN "aabbcc");
	f.bytes[14 + 1] = 0xb8;
	in = frame_packet(&f, FRAME_ETHERNET);
	in.time_ns = 42;
	assert_int_equal(decode_as(decoder, in), PACKET_KEPT);
	assert_int_equal(out.key.protocol, 6);
	assert_int_equal(out.key.extra, 0);
	assert_int_equal(out.key.vlan, 0);
	assert_ports(0xc000, 80);
	assert_int_equal(out.from_high, 1);
	assert_int_equal(out.time_ns, 42);
	assert_int_equal(out.octets, 43);
	assert_int_equal(out.payload, 3);
	assert_int_equal(out.ttl, 64);
	assert_int_equal(out.tos, 0xb8);
	assert_int_equal(out.tcp_flags, 2);
	assert_int_equal(out.tcp_sequence, 0x01020304);
	assert_int_equal(out.vlan, 0);
}

static void
both_directions_share_one_key(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 17, 0, UDP);
	first = out;
	decode_ipv4("10.0.0.2", "10.0.0.1", 17, 0, "0035 c000 0000 0000");
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
	assert_int_not_equal(out.from_high, first.from_high);
}

static void
between_equal_addresses_the_port_decides(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("127.0.0.1", "127.0.0.1", 17, 0, UDP);
	first = out;
	decode_ipv4("127.0.0.1", "127.0.0.1", 17, 0, "0035 c000 0000 0000");
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
	assert_int_equal(first.from_high, 1);
	assert_int_equal(out.from_high, 0);
}

static void
ipv4_addresses_are_mapped(void **state)
{
	struct address a;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 17, 0, UDP);
	address_from_ipv4(&a, (uint8_t[]){10, 0, 0, 1});
	assert_memory_equal(&out.key.low, &a, sizeof a);
}

static void
only_a_syn_has_a_sequence_number(void **state)
{
	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 6, 0, TCP_ACK);
	assert_int_equal(out.tcp_sequence, 0);
	assert_int_equal(out.tcp_flags, 0x10);
}

static void
padding_behind_the_packet_does_not_count(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ethernet(&f, 0x0800);
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	frame_zeros(&f, 60 - f.length);
	assert_int_equal(decode_frame(&f, FRAME_ETHERNET), PACKET_KEPT);
	assert_int_equal(out.octets, 28);
	assert_int_equal(out.payload, 0);
}

static void
a_total_length_of_zero_means_the_wire_length(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ethernet(&f, 0x0800);
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 6, 0, TCP_ACK);
	f.bytes[16] = f.bytes[17] = 0;
	in = frame_packet(&f, FRAME_ETHERNET);
	in.wire = 100014;
	assert_int_equal(decode_as(decoder, in), PACKET_KEPT);
	assert_int_equal(out.octets, 100000);
	assert_int_equal(out.payload, 65535); /* saturated */
}

static void
a_length_beyond_the_wire_is_dropped(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	f.bytes[3]++;
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_LENGTH_BEYOND);
	f.length = 0;
	frame_ethernet(&f, 0x0800);
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 6, 0, TCP_ACK);
	f.bytes[17]++;
	assert_int_equal(decode_frame(&f, FRAME_ETHERNET), PACKET_IP_LENGTH_BEYOND);
}

static void
a_jumbogram_may_not_claim_more_than_the_wire(void **state)
{
	(void)state;
	/* hop-by-hop with a jumbo payload option (0xc2) of 3.8 GB, then UDP */
	struct frame f = {.length = 0};
	frame_ipv6(&f, "2001:db8::1", "2001:db8::2", 0, "11 00 c2 04 e2 00 00 00" UDP);
	f.bytes[4] = f.bytes[5] = 0;
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_LENGTH_BEYOND);
}

static void
a_jumbogram_on_the_wire_has_its_own_length(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ipv6(&f, "2001:db8::1", "2001:db8::2", 0, "11 00 c2 04 00 01 86 a0" UDP);
	f.bytes[4] = f.bytes[5] = 0;
	in = frame_packet(&f, FRAME_RAW);
	in.wire = 100100;
	assert_int_equal(decode_as(decoder, in), PACKET_KEPT);
	assert_int_equal(out.octets, 100040);
	assert_ports(0xc000, 53);
}

static void
impossible_headers_are_bad(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	f.bytes[0] = 0x44; /* header of 16 bytes */
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_BAD);
	f.bytes[0] = 0x4f; /* header of 60 bytes, packet of 28 */
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_BAD);
	f.bytes[0] = 0x55; /* version 5 */
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_BAD);
}

static void
the_link_and_the_ip_header_must_agree_on_the_version(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ethernet(&f, 0x86dd);
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	assert_int_equal(decode_frame(&f, FRAME_ETHERNET), PACKET_IP_BAD);
}

static void
a_cut_ip_header_is_truncated(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	f.length = 19;
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_TRUNCATED);
	f.length = 0;
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_TRUNCATED);
	frame_ipv6(&f, "2001:db8::1", "2001:db8::2", 17, UDP);
	f.length = 39;
	assert_int_equal(decode_frame(&f, FRAME_RAW), PACKET_IP_TRUNCATED);
}

static void
a_transport_header_short_by_the_packet_itself_is_dropped(void **state)
{
	(void)state;
	assert_int_equal(decode_ipv4("10.0.0.1", "10.0.0.2", 6, 0, "c000 0050 0102"),
	    PACKET_TRANSPORT_SHORT);
	assert_int_equal(decode_ipv4("10.0.0.1", "10.0.0.2", 17, 0, "c000 0035 0000"),
	    PACKET_TRANSPORT_SHORT);
	assert_int_equal(decode_ipv6("2001:db8::1", "2001:db8::2", 6, "c000"),
	    PACKET_TRANSPORT_SHORT);
	/* a TCP header that says it is longer than the packet, and one too small */
	assert_int_equal(decode_ipv4("10.0.0.1", "10.0.0.2", 6, 0,
			     "c000 0050 01020304 00000000 60 02 0000 0000 0000"),
	    PACKET_TRANSPORT_SHORT);
	assert_int_equal(decode_ipv4("10.0.0.1", "10.0.0.2", 6, 0,
			     "c000 0050 01020304 00000000 40 02 0000 0000 0000"),
	    PACKET_TRANSPORT_SHORT);
}

static void
a_transport_header_cut_by_the_snap_length_gives_what_is_there(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 6, 0, TCP_SYN "00000000");
	in = frame_packet(&f, FRAME_RAW);
	in.captured = 24; /* the ports alone */
	assert_int_equal(decode_as(decoder, in), PACKET_KEPT);
	assert_ports(0xc000, 80);
	assert_int_equal(out.tcp_flags, 0);
	assert_int_equal(out.tcp_sequence, 0);
	assert_int_equal(out.octets, 44);
	assert_int_equal(out.payload, 4);
	in.captured = 34; /* the flags too */
	assert_int_equal(decode_as(decoder, in), PACKET_KEPT);
	assert_int_equal(out.tcp_flags, 2);
	assert_int_equal(out.tcp_sequence, 0x01020304);
}

static void
ports_cut_by_the_snap_length_are_dropped(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 6, 0, TCP_SYN);
	in = frame_packet(&f, FRAME_RAW);
	in.captured = 23;
	assert_int_equal(decode_as(decoder, in), PACKET_TRANSPORT_CUT);
}

static void
a_ping_and_its_answer_share_one_key(void **state)
{
	struct packet first;

	(void)state;
	assert_int_equal(
	    decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, ECHO "61626364"), PACKET_KEPT);
	assert_ports(0, 0x0800);
	assert_int_equal(out.icmp, 0x0800);
	assert_int_equal(out.payload, 4);
	first = out;
	decode_ipv4("10.0.0.2", "10.0.0.1", 1, 0, ECHO_BACK);
	assert_ports(0x0800, 0);
	assert_int_equal(out.icmp, 0);
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
}

static void
pings_in_opposite_directions_have_two_keys(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, ECHO);
	first = out;
	decode_ipv4("10.0.0.2", "10.0.0.1", 1, 0, ECHO);
	assert_memory_not_equal(&out.key, &first.key, sizeof out.key);
}

static void
an_icmp_error_has_a_key_of_its_own(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, "03 01 0000 00000000");
	assert_ports(0, 0x0301);
	assert_int_equal(out.icmp, 0x0301);
	first = out;
	decode_ipv4("10.0.0.2", "10.0.0.1", 1, 0, "03 01 0000 00000000");
	assert_memory_not_equal(&out.key, &first.key, sizeof out.key);
	decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, "03 03 0000 00000000");
	assert_memory_not_equal(&out.key, &first.key, sizeof out.key);
}

static void
an_icmpv6_ping_and_its_answer_share_one_key(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv6("2001:db8::1", "2001:db8::2", 58, "80 00 0000 0001 0001");
	assert_ports(0, 0x8000);
	first = out;
	decode_ipv6("2001:db8::2", "2001:db8::1", 58, "81 00 0000 0001 0001");
	assert_int_equal(out.icmp, 0x8100);
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
}

static void
other_icmp_queries_share_a_key_with_their_replies(void **state)
{
	static const struct {
		const char *request, *reply;
	} queries[] = {
	    {"0d 00 0000 00000000", "0e 00 0000 00000000"},
	    {"11 00 0000 00000000", "12 00 0000 00000000"},
	    {"2a 00 0000 00000000", "2b 02 0000 00000000"},
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct packet first;

		decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, queries[i].request);
		first = out;
		decode_ipv4("10.0.0.2", "10.0.0.1", 1, 0, queries[i].reply);
		assert_memory_equal(&out.key, &first.key, sizeof out.key);
	}
}

static void
an_icmp_message_without_type_and_code_is_short(void **state)
{
	(void)state;
	assert_int_equal(
	    decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, "08"), PACKET_TRANSPORT_SHORT);
	assert_int_equal(
	    decode_ipv4("10.0.0.1", "10.0.0.2", 1, 0, "0800"), PACKET_KEPT);
	assert_int_equal(out.payload, 0);
}

static void
transports_with_ports_have_ports(void **state)
{
	(void)state;
	/* SCTP: 12 bytes of common header */
	decode_ipv4("10.0.0.1", "10.0.0.2", 132, 0, "0b59 0b5a 00000000 00000000 aaaa");
	assert_ports(2905, 2906);
	assert_int_equal(out.payload, 2);
	/* DCCP: data offset of 4 words */
	decode_ipv4("10.0.0.1", "10.0.0.2", 33, 0,
	    "1389 138a 04 00 0000 01 000000 00000000 aa");
	assert_ports(5001, 5002);
	assert_int_equal(out.payload, 1);
	/* UDP-Lite */
	decode_ipv4("10.0.0.1", "10.0.0.2", 136, 0, "1389 138a 0000 0000 aa");
	assert_ports(5001, 5002);
	assert_int_equal(out.payload, 1);
}

static void
other_protocols_have_their_ip_payload(void **state)
{
	(void)state;
	/* GRE, ESP, IGMP, OSPF */
	static const uint8_t protocols[] = {47, 50, 2, 89};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(decode_ipv4("10.0.0.1", "10.0.0.2", protocols[i], 0,
				     "0011 2233 44"),
		    PACKET_KEPT);
		assert_int_equal(out.key.protocol, protocols[i]);
		assert_int_equal(out.payload, 5);
		assert_ports(0, 0);
	}
}

static void
later_fragments_take_the_ports_of_the_first(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 17, MORE_FRAGMENTS, UDP "0000000000000000");
	first = out;
	assert_int_equal(first.payload, 8);
	assert_int_equal(
	    decode_ipv4("10.0.0.1", "10.0.0.2", 17, 2, "aaaaaaaa"), PACKET_KEPT);
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
	assert_int_equal(out.from_high, first.from_high);
	assert_int_equal(out.payload, 4);
	assert_int_equal(out.octets, 24);
}

static void
later_fragments_of_an_unknown_packet_have_no_ports(void **state)
{
	(void)state;
	assert_int_equal(
	    decode_ipv4("10.0.0.9", "10.0.0.2", 17, 2, "aaaaaaaa"), PACKET_KEPT);
	assert_int_equal(out.key.protocol, 17);
	assert_ports(0, 0);
}

static void
later_fragments_of_a_tcp_packet_have_no_flags(void **state)
{
	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 6, MORE_FRAGMENTS, TCP_SYN "00000000");
	decode_ipv4("10.0.0.1", "10.0.0.2", 6, 3, "ffffffffffffffffffffffffffffffff");
	assert_ports(0xc000, 80);
	assert_int_equal(out.tcp_flags, 0);
	assert_int_equal(out.tcp_sequence, 0);
}

static void
later_fragments_of_a_ping_belong_to_it(void **state)
{
	struct packet first;

	(void)state;
	decode_ipv4("10.0.0.1", "10.0.0.2", 1, MORE_FRAGMENTS, ECHO);
	first = out;
	decode_ipv4("10.0.0.1", "10.0.0.2", 1, 1, "0000 0000");
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
	assert_int_equal(out.icmp, 0x0800);
}

static void
ipv6_fragments_know_their_protocol_from_the_first(void **state)
{
	struct packet first;

	(void)state;
	/* fragment header: next 60 (destination options), offset 0, more; id 7 */
	decode_ipv6("2001:db8::1", "2001:db8::2", 44,
	    "3c 00 0001 00000007  11 00 01 04 00000000" UDP);
	assert_int_equal(out.key.protocol, 17);
	assert_int_equal(out.payload, 0);
	assert_int_equal(out.octets, 64);
	first = out;
	decode_ipv6(
	    "2001:db8::1", "2001:db8::2", 44, "3c 00 0010 00000007 00000000 00000000");
	assert_memory_equal(&out.key, &first.key, sizeof out.key);
	assert_int_equal(out.payload, 8);
}

static void
an_atomic_fragment_is_a_whole_packet(void **state)
{
	(void)state;
	decode_ipv6("2001:db8::1", "2001:db8::2", 44, "11 00 0000 00000007" UDP "aa");
	assert_ports(0xc000, 53);
	assert_int_equal(out.payload, 1);
}

static void
extension_headers_are_stepped_over(void **state)
{
	(void)state;
	/* hop-by-hop, routing (24 bytes), destination options, authentication (12) */
	decode_ipv6("2001:db8::1", "2001:db8::2", 0,
	    "2b 00 01 04 00000000"
	    "3c 02 00 01 00000000 20010db8000000000000000000000099"
	    "33 00 01 04 00000000"
	    "11 01 0000 00000001 00000001" UDP "aabb");
	assert_int_equal(out.key.protocol, 17);
	assert_ports(0xc000, 53);
	assert_int_equal(out.payload, 2);
	/* the destination is the header's, not the routing header's */
	assert_int_equal(out.key.high.bytes[15], 2);
}

static void
esp_and_no_next_header_end_the_chain(void **state)
{
	(void)state;
	decode_ipv6("2001:db8::1", "2001:db8::2", 50, "00000001 00000001 aaaa");
	assert_int_equal(out.key.protocol, 50);
	assert_int_equal(out.payload, 10);
	decode_ipv6("2001:db8::1", "2001:db8::2", 59, "");
	assert_int_equal(out.key.protocol, 59);
	assert_int_equal(out.payload, 0);
	assert_int_equal(out.octets, 40);
}

static void
a_mobility_message_is_a_protocol(void **state)
{
	(void)state;
	decode_ipv6("2001:db8::1", "2001:db8::2", 135,
	    "3b 01 05 00 0000 0000"
	    "0000000000000000");
	assert_int_equal(out.key.protocol, 135);
	assert_int_equal(out.payload, 16);
}

static void
malformed_extension_headers_are_dropped(void **state)
{
	char chain[1024] = "";

	(void)state;
	/* longer than the packet */
	assert_int_equal(
	    decode_ipv6("2001:db8::1", "2001:db8::2", 60, "11 05 01 04 00000000"),
	    PACKET_EXTENSIONS);
	/* shorter than a header */
	assert_int_equal(
	    decode_ipv6("2001:db8::1", "2001:db8::2", 0, "11 00"), PACKET_EXTENSIONS);
	for (int i = 0; i < 20; i++) {
		strcat(chain, "3c00010400000000");
	}
	assert_int_equal(
	    decode_ipv6("2001:db8::1", "2001:db8::2", 60, chain), PACKET_EXTENSIONS);
}

static void
extension_headers_cut_by_the_snap_length_hide_the_ports(void **state)
{
	struct frame f = {.length = 0};
	struct capture_packet in;

	(void)state;
	frame_ipv6(&f, "2001:db8::1", "2001:db8::2", 0, "11 00 01 04 00000000" UDP);
	in = frame_packet(&f, FRAME_RAW);
	in.captured = 44;
	assert_int_equal(decode_as(decoder, in), PACKET_TRANSPORT_CUT);
	in.captured = 50;
	assert_int_equal(decode_as(decoder, in), PACKET_TRANSPORT_CUT);
}

static void
mapped_addresses_in_ipv6_are_ipv4(void **state)
{
	(void)state;
	decode_ipv6("::ffff:10.0.0.1", "::ffff:10.0.0.2", 17, UDP);
	assert_true(address_is_ipv4(&out.key.low));
	assert_true(address_is_ipv4(&out.key.high));
}

static void
traffic_class_and_hop_limit_are_tos_and_ttl(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ipv6(&f, "2001:db8::1", "2001:db8::2", 17, UDP);
	f.bytes[0] = 0x6b;
	f.bytes[1] = 0x80;
	f.bytes[7] = 200;
	decode_frame(&f, FRAME_RAW);
	assert_int_equal(out.tos, 0xb8);
	assert_int_equal(out.ttl, 200);
}

static void
what_the_link_refuses_has_a_reason(void **state)
{
	struct frame f = {.length = 0};

	(void)state;
	frame_ethernet(&f, 0x0806);
	assert_int_equal(decode_frame(&f, FRAME_ETHERNET), PACKET_NOT_IP);
	assert_int_equal(decode_frame(&f, 127), PACKET_LINK_UNKNOWN);
	f.length = 13;
	assert_int_equal(decode_frame(&f, FRAME_ETHERNET), PACKET_LINK_TRUNCATED);
}

static void
vlans_set_conversations_apart_when_asked(void **state)
{
	struct decoder *apart = decoder_new(true);
	struct frame f = {.length = 0};

	(void)state;
	frame_ethernet(&f, 0x8100);
	frame_hex(&f, "0064 0800");
	frame_ipv4(&f, "10.0.0.1", "10.0.0.2", 17, 0, UDP);
	decode_frame(&f, FRAME_ETHERNET);
	assert_int_equal(out.vlan, 100);
	assert_int_equal(out.key.vlan, 0);
	decode_as(apart, frame_packet(&f, FRAME_ETHERNET));
	assert_int_equal(out.vlan, 100);
	assert_int_equal(out.key.vlan, 100);
	decoder_free(apart);
}

static void
freeing_nothing_is_allowed(void **state)
{
	(void)state;
	decoder_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_tcp_packet_gives_all_its_values),
	    cmocka_unit_test(both_directions_share_one_key),
	    cmocka_unit_test(between_equal_addresses_the_port_decides),
	    cmocka_unit_test(ipv4_addresses_are_mapped),
	    cmocka_unit_test(only_a_syn_has_a_sequence_number),
	    cmocka_unit_test(padding_behind_the_packet_does_not_count),
	    cmocka_unit_test(a_total_length_of_zero_means_the_wire_length),
	    cmocka_unit_test(a_length_beyond_the_wire_is_dropped),
	    cmocka_unit_test(a_jumbogram_may_not_claim_more_than_the_wire),
	    cmocka_unit_test(a_jumbogram_on_the_wire_has_its_own_length),
	    cmocka_unit_test(impossible_headers_are_bad),
	    cmocka_unit_test(the_link_and_the_ip_header_must_agree_on_the_version),
	    cmocka_unit_test(a_cut_ip_header_is_truncated),
	    cmocka_unit_test(a_transport_header_short_by_the_packet_itself_is_dropped),
	    cmocka_unit_test(
		a_transport_header_cut_by_the_snap_length_gives_what_is_there),
	    cmocka_unit_test(ports_cut_by_the_snap_length_are_dropped),
	    cmocka_unit_test(a_ping_and_its_answer_share_one_key),
	    cmocka_unit_test(pings_in_opposite_directions_have_two_keys),
	    cmocka_unit_test(an_icmp_error_has_a_key_of_its_own),
	    cmocka_unit_test(an_icmpv6_ping_and_its_answer_share_one_key),
	    cmocka_unit_test(other_icmp_queries_share_a_key_with_their_replies),
	    cmocka_unit_test(an_icmp_message_without_type_and_code_is_short),
	    cmocka_unit_test(transports_with_ports_have_ports),
	    cmocka_unit_test(other_protocols_have_their_ip_payload),
	    cmocka_unit_test(later_fragments_take_the_ports_of_the_first),
	    cmocka_unit_test(later_fragments_of_an_unknown_packet_have_no_ports),
	    cmocka_unit_test(later_fragments_of_a_tcp_packet_have_no_flags),
	    cmocka_unit_test(later_fragments_of_a_ping_belong_to_it),
	    cmocka_unit_test(ipv6_fragments_know_their_protocol_from_the_first),
	    cmocka_unit_test(an_atomic_fragment_is_a_whole_packet),
	    cmocka_unit_test(extension_headers_are_stepped_over),
	    cmocka_unit_test(esp_and_no_next_header_end_the_chain),
	    cmocka_unit_test(a_mobility_message_is_a_protocol),
	    cmocka_unit_test(malformed_extension_headers_are_dropped),
	    cmocka_unit_test(extension_headers_cut_by_the_snap_length_hide_the_ports),
	    cmocka_unit_test(mapped_addresses_in_ipv6_are_ipv4),
	    cmocka_unit_test(traffic_class_and_hop_limit_are_tos_and_ttl),
	    cmocka_unit_test(what_the_link_refuses_has_a_reason),
	    cmocka_unit_test(vlans_set_conversations_apart_when_asked),
	    cmocka_unit_test(freeing_nothing_is_allowed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
