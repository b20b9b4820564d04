#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipfix/element.h"

#define HEAD                                                                           \
	"<registry xmlns=\"http://www.iana.org/assignments\" "                         \
	"xmlns:cert=\"http://www.cert.org/ipfix\"><registry "                          \
	"id=\"ipfix-information-elements\">\n"
#define TAIL "</registry></registry>\n"

static struct elements *registry; /* schemas/elements.xml under PEN 4711 */

static int
read_text(struct elements *s, const char *text, struct err *e)
{
	char path[] = "/tmp/element_testXXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int rc = elements_read_xml(s, path, e);
	unlink(path);
	return rc;
}

static int
open_registry(void **state)
{
	(void)state;
	struct err e;
	registry = elements_new(4711);
	assert_non_null(registry);
	if (elements_read_xml(registry, "schemas/elements.xml", &e) < 0) {
		fail_msg("%s", e.text);
	}
	return 0;
}

static int
close_registry(void **state)
{
	(void)state;
	elements_free(registry);
	return 0;
}

static void
expect(const char *name, uint32_t pen, uint16_t id, enum element_type type,
    uint16_t length, uint8_t semantics, uint16_t units)
{
	const struct element *x = elements_find_name(registry, name);
	assert_non_null(x);
	assert_ptr_equal(x, elements_find(registry, pen, id));
	assert_string_equal(x->name, name);
	assert_int_equal(x->pen, pen);
	assert_int_equal(x->id, id);
	assert_int_equal(x->type, type);
	assert_int_equal(x->length, length);
	assert_int_equal(x->semantics, semantics);
	assert_int_equal(x->units, units);
}

static void
iana_elements_are_known_from_the_start(void **state)
{
	(void)state;
	expect("octetDeltaCount", 0, 1, ELEMENT_U64, 8, 3, 2);
	expect("protocolIdentifier", 0, 4, ELEMENT_U8, 1, 4, 0);
	expect("sourceIPv4Address", 0, 8, ELEMENT_IPV4, 4, 0, 0);
	expect("destinationIPv6Address", 0, 28, ELEMENT_IPV6, 16, 0, 0);
	expect("flowStartNanoseconds", 0, 156, ELEMENT_TIME_NS, 8, 0, 8);
	expect("interfaceName", 0, 82, ELEMENT_STRING, ELEMENT_VARIABLE, 0, 0);
	expect("basicList", 0, 291, ELEMENT_BASIC_LIST, ELEMENT_VARIABLE, 6, 0);
}

static void
our_registry_is_read_with_all_its_attributes(void **state)
{
	(void)state;
	expect("dataByteCount", 6871, 502, ELEMENT_U64, 8, 2, 2);
	expect("initialTCPFlags", 6871, 14, ELEMENT_U16, 2, 5, 0);
	expect("minimumPayloadOctets", 4711, 1, ELEMENT_U32, 4, 1, 2);
	expect("interarrivalMicrosecondSum", 4711, 6, ELEMENT_U64, 8, 3, 7);
	expect("interarrivalMicrosecondSumOfSquares", 4711, 7, ELEMENT_F64, 8, 1, 0);
}

static void
own_elements_carry_the_configured_enterprise_number(void **state)
{
	(void)state;
	assert_int_equal(elements_own_pen(registry), 4711);
	assert_null(elements_find(registry, ELEMENT_PEN_OWN, 1));
}

static void
reverses_of_iana_elements_have_the_enterprise_number_of_rfc_5103(void **state)
{
	(void)state;
	const struct element *x = elements_find_name(registry, "octetDeltaCount");
	const struct element *r = elements_reverse(registry, x);
	assert_non_null(r);
	assert_int_equal(r->pen, ELEMENT_PEN_REVERSE);
	assert_int_equal(r->id, 1);
	assert_string_equal(r->name, "reverseOctetDeltaCount");
	assert_true(r->is_reverse);
	assert_true(x->is_reversible);
	assert_false(x->is_reverse);
	assert_int_equal(r->type, ELEMENT_U64);
}

static void
reverses_of_enterprise_elements_have_bit_14_of_the_number(void **state)
{
	(void)state;
	const struct element *x = elements_find_name(registry, "minimumPayloadOctets");
	const struct element *r = elements_reverse(registry, x);
	assert_non_null(r);
	assert_int_equal(r->pen, 4711);
	assert_int_equal(r->id, 0x4001);
	assert_string_equal(r->name, "reverseMinimumPayloadOctets");
	assert_true(r->is_reverse);
}

static void
elements_that_rfc_5103_excludes_have_no_reverse(void **state)
{
	(void)state;
	const char *names[] = {"biflowDirection", "flowId", "observationDomainId",
	    "templateId", "paddingOctets", "exporterIPv4Address", "commonPropertiesId",
	    "ignoredPacketTotalCount", "notSentFlowTotalCount"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct element *x = elements_find_name(registry, names[i]);
		assert_non_null(x);
		assert_null(elements_reverse(registry, x));
		assert_false(x->is_reversible);
	}
}

static void
a_reverse_element_has_no_reverse(void **state)
{
	(void)state;
	const char *names[] = {"reverseOctetDeltaCount", "reverseMinimumPayloadOctets"};
	for (size_t i = 0; i < 2; i++) {
		const struct element *x = elements_find_name(registry, names[i]);
		assert_non_null(x);
		assert_null(elements_reverse(registry, x));
	}
}

static void
a_registry_read_again_adds_nothing(void **state)
{
	(void)state;
	struct err e;
	size_t before = elements_count(registry);
	const struct element *x = elements_find(registry, 4711, 1);
	assert_int_equal(elements_read_xml(registry, "schemas/elements.xml", &e), 0);
	assert_int_equal(elements_count(registry), before);
	assert_ptr_equal(elements_find(registry, 4711, 1), x);
}

static void
the_registry_of_yaf_users_is_read_on_top(void **state)
{
	(void)state;
	struct err e;
	const char *path = "/usr/share/libfixbuf/cert_ipfix.xml";
	if (access(path, R_OK) != 0) {
		print_message("%s is not installed\n", path);
		skip();
	}
	struct elements *s = elements_new(ELEMENT_PEN_OWN);
	assert_int_equal(elements_read_xml(s, "schemas/elements.xml", &e), 0);
	assert_int_equal(elements_read_xml(s, path, &e), 0);
	const struct element *x = elements_find_name(s, "silkAppLabel");
	assert_non_null(x);
	assert_int_equal(x->pen, ELEMENT_PEN_CERT);
	assert_int_equal(x->id, 33);
	x = elements_find_name(s, "dataByteCount");
	assert_int_equal(x->id, 502);
	assert_int_equal(x->length, 8);
	elements_free(s);
}

static void
every_element_is_found_by_its_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < elements_count(registry); i++) {
		const struct element *x = elements_at(registry, i);
		assert_ptr_equal(elements_find(registry, x->pen, x->id), x);
		assert_non_null(elements_find_name(registry, x->name));
	}
}

static void
a_misspelt_name_finds_its_neighbour(void **state)
{
	(void)state;
	const char *near = elements_nearest(registry, "octetDeltaCont");
	assert_non_null(near);
	assert_string_equal(near, "octetDeltaCount");
	assert_null(elements_find_name(registry, "octetDeltaCont"));
}

/* Reading `text` must fail with a sentence that holds `part`. */
static void
refuse(const char *text, const char *part)
{
	struct err e;
	struct elements *s = elements_new(1);
	assert_int_equal(read_text(s, text, &e), -EINVAL);
	if (strstr(e.text, part) == NULL ||
	    strstr(e.text, "/tmp/element_test") == NULL) {
		fail_msg("\"%s\" does not name \"%s\" and the file", e.text, part);
	}
	elements_free(s);
}

static void
a_missing_file_is_named(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(elements_read_xml(registry, "/nonexistent.xml", &e), -ENOENT);
	assert_string_equal(e.text, "/nonexistent.xml: No such file or directory");
}

static void
text_that_is_no_registry_is_refused(void **state)
{
	(void)state;
	refuse("", "empty");
	refuse("hello", "begin with an element");
	refuse("<foo></foo>", "no <record>");
	refuse(HEAD "<record><name>x", "still open");
}

#define OWN_RECORD(name, type, id)                                                     \
	HEAD "<record>" name type "<elementId>" id "</elementId>"                      \
	     "<cert:enterpriseId>99</cert:enterpriseId></record>" TAIL

static void
a_mistake_in_an_enterprise_record_is_refused_with_its_line(void **state)
{
	(void)state;
	refuse(OWN_RECORD("", "<dataType>unsigned8</dataType>", "1"), "Missing name");
	refuse(
	    OWN_RECORD("<name>a</name>", "<dataType>unsigned8</dataType>", "x"), ":2:");
	refuse(
	    OWN_RECORD("<name>a</name>", "<dataType>unsignedX</dataType>", "1"), ":2:");
	refuse(OWN_RECORD("<name>a</name>", "<dataType>unsigned8</dataType>", "0"),
	    "expected 1 to 32767");
	refuse(OWN_RECORD("<name>a</name>", "<dataType>unsigned8</dataType>", "40000"),
	    "expected 1 to 32767");
}

static void
what_libfixbuf_does_not_know_of_iana_is_passed_over(void **state)
{
	(void)state;
	struct err e;
	struct elements *s = elements_new(1);
	const char *text = HEAD
	    "<record><name>Assigned for NetFlow v9 compatibility</name>"
	    "<dataType>unsigned8</dataType><elementId>105-127</elementId></record>\n"
	    "<record><name>newThing</name><dataType>unsigned256</dataType>"
	    "<elementId>30001</elementId></record>\n"
	    "<record><name>other</name><dataType>unsigned8</dataType>"
	    "<elementId>30002</elementId></record>" TAIL;
	assert_int_equal(read_text(s, text, &e), 0);
	assert_non_null(elements_find(s, 0, 30002));
	elements_free(s);
}

static struct element
learned(const char *name, uint16_t id)
{
	return (struct element){
	    .name = name, .pen = 9999, .id = id, .length = 4, .type = ELEMENT_U32};
}

static void
a_learned_element_is_found_but_takes_no_known_number_or_name(void **state)
{
	(void)state;
	struct elements *s = elements_new(1);
	struct element x = learned("somethingNew", 5);
	assert_int_equal(elements_add(s, &x), 0);
	assert_int_equal(elements_add(s, &x), -EEXIST);
	assert_int_equal(elements_find_name(s, "somethingNew")->id, 5);
	x = learned("octetDeltaCount", 6);
	assert_int_equal(elements_add(s, &x), 0);
	assert_int_equal(elements_find_name(s, "octetDeltaCount")->pen, 0);
	x = learned("", 7);
	assert_int_equal(elements_add(s, &x), -EINVAL);
	x = learned("tooBig", 0x8000);
	assert_int_equal(elements_add(s, &x), -EINVAL);
	elements_free(s);
}

static void
a_learned_reverse_joins_its_forward_in_either_order(void **state)
{
	(void)state;
	struct elements *s = elements_new(1);
	struct element list[] = {learned("thing", 5), learned("reverseThing", 0x4005),
	    learned("reverseOther", 0x4006), learned("other", 6)};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(elements_add(s, &list[i]), 0);
	}
	for (uint16_t id = 5; id <= 6; id++) {
		const struct element *x = elements_find(s, 9999, id);
		assert_true(x->is_reversible);
		assert_int_equal(elements_reverse(s, x)->id, id | 0x4000);
		assert_true(elements_reverse(s, x)->is_reverse);
	}
	elements_free(s);
}

static void
peers_cannot_make_the_registry_grow_without_bound(void **state)
{
	(void)state;
	struct elements *s = elements_new(1);
	int rc = 0;
	for (uint32_t pen = 10000; rc == 0; pen++) {
		for (uint16_t id = 1; id < 0x4000 && rc == 0; id++) {
			char name[16];
			snprintf(name, sizeof name, "e%u_%u", pen, id);
			struct element x = learned(name, id);
			x.pen = pen;
			rc = elements_add(s, &x);
		}
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(elements_count(s), 65536);
	assert_int_equal(elements_find_name(s, "e10001_77")->id, 77);
	elements_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(iana_elements_are_known_from_the_start),
	    cmocka_unit_test(our_registry_is_read_with_all_its_attributes),
	    cmocka_unit_test(own_elements_carry_the_configured_enterprise_number),
	    cmocka_unit_test(
		reverses_of_iana_elements_have_the_enterprise_number_of_rfc_5103),
	    cmocka_unit_test(reverses_of_enterprise_elements_have_bit_14_of_the_number),
	    cmocka_unit_test(elements_that_rfc_5103_excludes_have_no_reverse),
	    cmocka_unit_test(a_reverse_element_has_no_reverse),
	    cmocka_unit_test(a_registry_read_again_adds_nothing),
	    cmocka_unit_test(the_registry_of_yaf_users_is_read_on_top),
	    cmocka_unit_test(every_element_is_found_by_its_number),
	    cmocka_unit_test(a_misspelt_name_finds_its_neighbour),
	    cmocka_unit_test(a_missing_file_is_named),
	    cmocka_unit_test(text_that_is_no_registry_is_refused),
	    cmocka_unit_test(
		a_mistake_in_an_enterprise_record_is_refused_with_its_line),
	    cmocka_unit_test(what_libfixbuf_does_not_know_of_iana_is_passed_over),
	    cmocka_unit_test(
		a_learned_element_is_found_but_takes_no_known_number_or_name),
	    cmocka_unit_test(a_learned_reverse_joins_its_forward_in_either_order),
	    cmocka_unit_test(peers_cannot_make_the_registry_grow_without_bound),
	};
	return cmocka_run_group_tests(tests, open_registry, close_registry);
}
