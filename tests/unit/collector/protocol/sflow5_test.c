/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "collector/protocol/sflow5.h"
#include "tests/unit/collector/protocol/support_set.h"

/* A header of 28 bytes: agent 10.0.0.1, sub-agent 7, message 9, uptime 1 s. */
static void
put_header(struct support_set *s)
{
	s->length = 0;
	support_put(s, 5, 4);
	support_put(s, 1, 4);
	support_put(s, 0x0a000001, 4);
	support_put(s, 7, 4);
	support_put(s, 9, 4);
	support_put(s, 1000, 4);
	support_put(s, 1, 4);
}

/* An Ethernet frame with VLAN 5 of a TCP packet 10.0.0.1:1024 -> 10.0.0.2:80. */
static const uint8_t frame[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0,
    0x45, 0x08, 0, 60, 0, 0, 0, 0, 63, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 0, 0, 80,
    0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0};

/* A flow sample of interface 3 to 4, one of 100, with one record. */
static void
put_sample(struct support_set *s, bool is_expanded, uint32_t format, const void *record,
    size_t length)
{
	size_t head = is_expanded ? 44 : 32;

	support_put(s, is_expanded ? 3 : 1, 4);
	support_put(s, head + 8 + length, 4);
	support_put(s, 1, 4);
	support_put(s, 0, is_expanded ? 8 : 4);
	support_put(s, 100, 4);
	support_put(s, 0, 8);
	support_put(s, is_expanded ? 0 : 3, 4);
	support_put(s, is_expanded ? 3 : 4, 4);
	if (is_expanded) {
		support_put(s, 0, 4);
		support_put(s, 4, 4);
	}
	support_put(s, 1, 4);
	support_put(s, format, 4);
	support_put(s, length, 4);
	support_put_bytes(s, record, length);
}

static struct support_set
raw_header(uint32_t protocol, const void *bytes, size_t n)
{
	struct support_set r = {.length = 0};

	support_put(&r, protocol, 4);
	support_put(&r, 118, 4);
	support_put(&r, 4, 4);
	support_put(&r, n, 4);
	support_put_bytes(&r, bytes, n);
	while (r.length % 4 != 0) {
		support_put(&r, 0, 1);
	}
	return r;
}

/* A field of the record, by the built-in template: its value. */
static uint64_t
value(const struct protocol_sample *s, uint16_t id)
{
	struct templates *set = templates_new(8, 64);
	struct template_counts counts = {0};
	const struct template *t;
	size_t at = 0;
	uint64_t v = UINT64_MAX;

	templates_read_set(set, support_elements(), TEMPLATE_SET_ID,
	    sflow5_template_set(), false, &counts);
	assert_int_equal(counts.added, 3);
	t = templates_find(set, s->template_id);
	assert_int_equal(t->record_length, s->length);
	for (unsigned i = 0; i < t->field_count; i++) {
		if (t->fields[i].id == id) {
			v = load_uint(s->record + at, t->fields[i].length);
		}
		at += t->fields[i].length;
	}
	templates_free(set);
	return v;
}

static void
the_header_has_agent_and_clock(void **state)
{
	struct support_set s;
	struct protocol_header h;

	(void)state;
	put_header(&s);
	assert_ptr_equal(protocol_find(s.bytes, s.length), &protocol_sflow5);
	assert_int_equal(protocol_sflow5.read_header(s.bytes, s.length, &h), 0);
	assert_int_equal(h.domain, 7);
	assert_memory_equal(
	    h.agent.bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	assert_int_equal(h.sequence, 9);
	assert_int_equal(h.clock.uptime_ms, 1000);
	for (size_t n = 0; n < s.length; n++) {
		assert_true(protocol_sflow5.read_header(s.bytes, n, &h) < 0);
	}
}

static void
a_sampled_frame_is_a_record(void **state)
{
	(void)state;
	for (int is_expanded = 0; is_expanded < 2; is_expanded++) {
		struct support_set r = raw_header(1, frame, sizeof frame);
		struct support_set s = {.length = 0};
		struct protocol_sample sample;
		struct cursor c;
		put_sample(&s, is_expanded != 0, 1, r.bytes, r.length);
		c = cursor_of(s.bytes, s.length);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
		assert_int_equal(sample.template_id, SFLOW5_IPV4);
		assert_int_equal(value(&sample, 10), 3);
		assert_int_equal(value(&sample, 14), 4);
		assert_int_equal(value(&sample, 34), 100);
		assert_int_equal(value(&sample, 2), 1);
		assert_int_equal(value(&sample, 1), 60);
		assert_int_equal(value(&sample, 56), 0x020000000001);
		assert_int_equal(value(&sample, 80), 0x020000000002);
		assert_int_equal(value(&sample, 58), 5);
		assert_int_equal(value(&sample, 4), 6);
		assert_int_equal(value(&sample, 5), 8);
		assert_int_equal(value(&sample, 7), 1024);
		assert_int_equal(value(&sample, 11), 80);
		assert_int_equal(value(&sample, 6), 0x12);
		assert_int_equal(value(&sample, 192), 63);
		assert_int_equal(value(&sample, 8), 0x0a000001);
		assert_int_equal(value(&sample, 12), 0x0a000002);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 0);
	}
}

/* Its numbers have 32 bits of their own, beside the format. */
static void
an_expanded_sample_may_name_interfaces_beyond_30_bits(void **state)
{
	struct support_set s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	put_sample(&s, true, 1002, "", 0);
	store_u32(s.bytes + 36, 0x40000007);
	store_u32(s.bytes + 44, 0x7fffffff);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(value(&sample, 10), 0x40000007);
	assert_int_equal(value(&sample, 14), 0x7fffffff);
}

static void
ipv6_and_its_extensions_are_read(void **state)
{
	uint8_t packet[40 + 8 + 8] = {0x60, 0, 0, 0, 0, 16, 0, 64};
	struct support_set r, s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	packet[23] = 1; /* source ::1 */
	packet[40] = 17;
	store_u16(packet + 48, 53);
	store_u16(packet + 50, 5353);
	r = raw_header(12, packet, sizeof packet);
	put_sample(&s, false, 1, r.bytes, r.length);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(sample.template_id, SFLOW5_IPV6);
	assert_int_equal(value(&sample, 4), 17);
	assert_int_equal(value(&sample, 7), 53);
	assert_int_equal(value(&sample, 11), 5353);
	assert_int_equal(value(&sample, 1), 56);
}

/* As segmentation offload leaves it, of IPv4 and IPv6. */
static void
a_packet_without_length_has_its_frames(void **state)
{
	static const uint8_t v4[20] = {0x45}, v6[40] = {0x60};

	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct support_set s = {.length = 0}, r;
		struct protocol_sample sample;
		struct cursor c;
		r = is_v6 ? raw_header(12, v6, sizeof v6)
			  : raw_header(11, v4, sizeof v4);
		put_sample(&s, false, 1, r.bytes, r.length);
		c = cursor_of(s.bytes, s.length);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
		assert_int_equal(value(&sample, 1), 118);
	}
}

static void
a_sample_without_its_packet_may_name_the_fields(void **state)
{
	struct support_set r = {.length = 0}, s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	support_put(&r, 1500, 4);
	support_put(&r, 6, 4);
	support_put(&r, 0x0a000001, 4);
	support_put(&r, 0x0a000002, 4);
	support_put(&r, 1024, 4);
	support_put(&r, 443, 4);
	support_put(&r, 0x18, 4);
	support_put(&r, 0, 4);
	put_sample(&s, false, 3, r.bytes, r.length);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(sample.template_id, SFLOW5_IPV4);
	assert_int_equal(value(&sample, 1), 1500);
	assert_int_equal(value(&sample, 11), 443);
}

static void
what_is_no_ip_is_a_record_without_addresses(void **state)
{
	uint8_t arp[60] = {[12] = 8, [13] = 6};
	struct support_set r = raw_header(1, arp, sizeof arp), s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	put_sample(&s, false, 1, r.bytes, r.length);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(sample.template_id, SFLOW5_OTHER);
	assert_int_equal(value(&sample, 1), 118);
}

static void
other_samples_are_told_apart(void **state)
{
	/* counters, expanded ones, discarded packets, an enterprise's flow samples */
	static const uint32_t formats[] = {2, 4, 5, 9 << 12 | 1};

	(void)state;
	for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct support_set s = {.length = 0};
		struct protocol_sample sample;
		struct cursor c;
		support_put(&s, formats[i], 4);
		support_put(&s, 4, 4);
		support_put(&s, 0x01020304, 4);
		c = cursor_of(s.bytes, s.length);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
		assert_int_equal(sample.kind,
		    i < 2 ? PROTOCOL_SAMPLE_COUNTERS : PROTOCOL_SAMPLE_UNKNOWN);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 0);
	}
}

/* Of however many records: the one that has the packet may be the last. */
static void
the_packet_may_be_in_the_last_of_many_records(void **state)
{
	enum { BEFORE = 5000 };
	struct support_set r = raw_header(1, frame, sizeof frame), s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	support_put(&s, 1, 4);
	support_put(&s, 32 + 8 * BEFORE + 8 + r.length, 4);
	support_put(&s, 0, 8);
	support_put(&s, 0, 8);
	support_put(&s, 0, 8);
	support_put(&s, 0, 4);
	support_put(&s, BEFORE + 1, 4);
	for (unsigned i = 0; i < BEFORE; i++) {
		support_put(&s, 1002, 4); /* extended_router, of no length */
		support_put(&s, 0, 4);
	}
	support_put(&s, 1, 4);
	support_put(&s, r.length, 4);
	support_put_bytes(&s, r.bytes, r.length);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(sample.template_id, SFLOW5_IPV4);
	assert_int_equal(value(&sample, 11), 80);
}

static void
what_is_cut_short_is_told(void **state)
{
	struct support_set r = raw_header(1, frame, sizeof frame), s = {.length = 0};

	(void)state;
	put_sample(&s, false, 1, r.bytes, r.length);
	for (size_t n = 4; n < s.length; n++) {
		struct cursor c = cursor_of(s.bytes, n);
		struct protocol_sample sample;
		assert_true(protocol_sflow5.next_sample(&c, &sample) < 0);
	}
}

static void
a_sample_that_contradicts_itself_hides_none_behind_it(void **state)
{
	/* its records; the first one's length; that of the packet in it */
	static const struct {
		size_t at;
		uint32_t value;
	} lies[] = {{36, 2}, {44, 4000}, {44, UINT32_MAX}, {60, 4000}};
	struct support_set r = raw_header(1, frame, sizeof frame), s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		put_sample(&s, false, 1, r.bytes, r.length);
	}
	for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct support_set bad = s;
		store_u32(bad.bytes + lies[i].at, lies[i].value);
		c = cursor_of(bad.bytes, bad.length);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), -EBADMSG);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
		assert_int_equal(value(&sample, 11), 80);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 0);
	}
}

static void
a_record_shorter_than_its_format_makes_its_sample_bad(void **state)
{
	static const uint32_t formats[] = {1, 2, 3, 4, 1001};
	static const size_t lengths[] = {16, 20, 32, 56, 4};

	(void)state;
	for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++) {
		const uint8_t zeros[64] = {0};
		for (size_t n = 0; n <= lengths[i]; n++) {
			struct support_set s = {.length = 0};
			struct protocol_sample sample;
			struct cursor c;
			put_sample(&s, false, formats[i], zeros, n);
			c = cursor_of(s.bytes, s.length);
			assert_int_equal(protocol_sflow5.next_sample(&c, &sample),
			    n < lengths[i] ? -EBADMSG : 1);
		}
	}
}

static void
zeros_up_to_the_end_are_padding(void **state)
{
	struct support_set s = {.length = 0};
	struct protocol_sample sample;
	struct cursor c;

	(void)state;
	put_sample(&s, false, 1002, "", 0);
	for (unsigned n = 1; n < 20; n++) {
		support_put(&s, 0, 1);
		c = cursor_of(s.bytes, s.length);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
		assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 0);
	}
	support_put(&s, 1, 1);
	c = cursor_of(s.bytes, s.length);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), 1);
	assert_int_equal(protocol_sflow5.next_sample(&c, &sample), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_header_has_agent_and_clock),
	    cmocka_unit_test(a_sampled_frame_is_a_record),
	    cmocka_unit_test(an_expanded_sample_may_name_interfaces_beyond_30_bits),
	    cmocka_unit_test(ipv6_and_its_extensions_are_read),
	    cmocka_unit_test(a_sample_without_its_packet_may_name_the_fields),
	    cmocka_unit_test(a_packet_without_length_has_its_frames),
	    cmocka_unit_test(what_is_no_ip_is_a_record_without_addresses),
	    cmocka_unit_test(other_samples_are_told_apart),
	    cmocka_unit_test(the_packet_may_be_in_the_last_of_many_records),
	    cmocka_unit_test(what_is_cut_short_is_told),
	    cmocka_unit_test(a_sample_that_contradicts_itself_hides_none_behind_it),
	    cmocka_unit_test(a_record_shorter_than_its_format_makes_its_sample_bad),
	    cmocka_unit_test(zeros_up_to_the_end_are_padding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
