/* Which operation reads a field. */
#include "collector/rows/normalise_plan.h"

/* How a field of this type and length is read; false: not at all (RFC 7011 section 6.2:
 * integers may be shorter than their type, float64 may be float32, the rest is exact).
 * Some send integers longer than their type, too. */
bool
plan_op_for(const struct element *element, uint16_t length, enum op_kind *ret)
{
	static const enum op_kind by_length[] = {[1] = OP_U8,
	    [2] = OP_U16,
	    [3] = OP_UINT,
	    [4] = OP_U32,
	    [5] = OP_UINT,
	    [6] = OP_UINT,
	    [7] = OP_UINT,
	    [8] = OP_U64};

	switch (element->type) {
	case ELEMENT_U8:
	case ELEMENT_U16:
	case ELEMENT_U32:
	case ELEMENT_U64:
		*ret = length <= 8 ? by_length[length] : OP_U8;
		return length >= 1 && length <= 8;
	case ELEMENT_I8:
	case ELEMENT_I16:
	case ELEMENT_I32:
	case ELEMENT_I64:
		*ret = OP_INT;
		return length >= 1 && length <= element->length && length <= 8;
	case ELEMENT_BOOL:
		*ret = OP_BOOL;
		return length == 1;
	case ELEMENT_F32:
	case ELEMENT_F64:
		*ret = length == 4 ? OP_F32 : OP_F64;
		return length == 4 || (length == 8 && element->type == ELEMENT_F64);
	case ELEMENT_TIME_S:
		*ret = OP_TIME_S;
		return length == 4;
	case ELEMENT_TIME_MS:
		*ret = OP_TIME_MS;
		return length == 8;
	case ELEMENT_TIME_US:
		*ret = OP_TIME_US;
		return length == 8;
	case ELEMENT_TIME_NS:
		*ret = OP_TIME_NS;
		return length == 8;
	case ELEMENT_MAC:
		*ret = OP_UINT;
		return length == 6;
	case ELEMENT_IPV4:
		*ret = OP_IPV4;
		return length == 4;
	case ELEMENT_IPV6:
		*ret = OP_IPV6;
		return length == 16;
	case ELEMENT_STRING:
		*ret = OP_TEXT;
		return true;
	case ELEMENT_OCTETS:
		*ret = OP_OCTETS;
		return true;
	case ELEMENT_BASIC_LIST:
	case ELEMENT_SUB_TEMPLATE_LIST:
	case ELEMENT_SUB_TEMPLATE_MULTI_LIST:
		*ret = OP_LISTS;
		return true;
	default:
		return false;
	}
}

/* The same for a time that counts from the exporter's clocks. */
bool
plan_op_for_relative(const struct element *element, uint16_t length, enum op_kind *ret)
{
	*ret =
	    layout_relative(element) == RELATIVE_UPTIME ? OP_UPTIME : OP_BEFORE_EXPORT;
	return length >= 1 && length <= 8;
}
