#include "common/capture/capture.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "common/base/clock.h"
#include "common/capture/capture_classic.h"
#include "common/capture/capture_ng.h"
#include "common/capture/input.h"

#define SNAPLEN_DEFAULT 262144
#define RING_DEFAULT    (16U << 20)
#define LIVE_TIMEOUT_MS 100 /* how long the kernel may gather packets into a block */
#define FILTERS_MAX     16  /* link types in one file that are filtered */

enum reader { READER_LIBPCAP, READER_CLASSIC, READER_NG };

/* A filter compiled for one link type. */
struct filter {
	int link_type;
	struct bpf_program program;
};

struct capture {
	char *name;
	enum reader reader;
	pcap_t *pcap; /* of READER_LIBPCAP */
	struct capture_classic classic;
	struct capture_ng ng;
	struct input source; /* files only */
	char *filter;        /* what our own readers' packets must pass, or NULL */
	struct filter filters[FILTERS_MAX];
	unsigned filter_count;
	struct capture_packet held; /* read when the file was opened */
	bool is_held;
	bool is_live, has_ended;
	uint64_t received, cut_short;
};

static struct capture *
capture_new(const char *name, struct err *e)
{
	struct capture *c = calloc(1, sizeof *c);

	if (c != NULL) {
		c->name = strdup(name);
	}
	if (c == NULL || c->name == NULL) {
		free(c);
		err_set(e, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	return c;
}

static int
compile(pcap_t *p, const char *name, const char *filter, struct bpf_program *ret,
    struct err *e)
{
	if (pcap_compile(p, ret, filter, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		return err_set(e, -EINVAL,
		    "%s: invalid filter \"%s\": %s (see pcap-filter(7))", name, filter,
		    pcap_geterr(p));
	}
	return 0;
}

/* Filters what libpcap reads, in the kernel where there is one. */
static int
set_filter(struct capture *c, const struct capture_settings *s, struct err *e)
{
	struct bpf_program program;
	int rc;

	if (s->filter == NULL || *s->filter == '\0') {
		return 0;
	}
	rc = compile(c->pcap, c->name, s->filter, &program, e);
	if (rc < 0) {
		return rc;
	}
	if (pcap_setfilter(c->pcap, &program) != 0) {
		rc = err_set(e, -EINVAL, "%s: the filter \"%s\" cannot be set: %s",
		    c->name, s->filter, pcap_geterr(c->pcap));
	}
	pcap_freecode(&program);
	return rc;
}

/* Files number a few link types otherwise than libpcap does on Linux. */
static int
dlt_of(int linktype)
{
	switch (linktype) {
	case 100:
		return DLT_ATM_RFC1483;
	case 101:
		return DLT_RAW;
	case 102:
		return DLT_SLIP_BSDOS;
	case 103:
		return DLT_PPP_BSDOS;
	case 106:
		return DLT_ATM_CLIP;
	default:
		return linktype;
	}
}

/* The filter for packets of this link type, compiled when the first of them is seen:
 * files may hold several kinds. */
static int
find_filter(struct capture *c, int link_type, struct bpf_program **ret, struct err *e)
{
	struct filter *f = c->filters;
	pcap_t *dead;
	int rc;

	for (; f < c->filters + c->filter_count; f++) {
		if (f->link_type == link_type) {
			*ret = &f->program;
			return 0;
		}
	}
	if (c->filter_count == FILTERS_MAX) {
		return err_set(e, -E2BIG,
		    "%s: more than %d link types cannot be filtered in one file",
		    c->name, FILTERS_MAX);
	}
	dead = pcap_open_dead(link_type, SNAPLEN_DEFAULT);
	if (dead == NULL) {
		return err_set(e, -ENOMEM, "%s: out of memory", c->name);
	}
	rc = compile(dead, c->name, c->filter, &f->program, e);
	pcap_close(dead);
	if (rc == 0) {
		f->link_type = link_type;
		*ret = &f->program;
		c->filter_count++;
	}
	return rc;
}

/* 1: the packet passes; 0: it does not; negative with e. */
static int
pass_filter(struct capture *c, const struct capture_packet *p, struct err *e)
{
	struct pcap_pkthdr header = {.caplen = p->captured, .len = p->wire};
	struct bpf_program *program;
	int rc = find_filter(c, p->link_type, &program, e);

	return rc < 0 ? rc : pcap_offline_filter(program, &header, p->bytes) != 0;
}

/* libpcap reads what is left of the source. */
static int
open_with_libpcap(struct capture *c, const struct capture_settings *s, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *f = input_stream(&c->source);

	if (f == NULL) {
		return err_set(e, -ENOMEM, "%s: out of memory", c->name);
	}
	c->pcap = pcap_fopen_offline_with_tstamp_precision(
	    f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (c->pcap == NULL) {
		fclose(f);
		return err_set(e, -EBADMSG, "%s: not a pcap or pcapng capture file: %s",
		    c->name, why);
	}
	return set_filter(c, s, e);
}

/* A filter with a mistake is to be refused now, so the link type of the first packet
 * has to be known, which in pcapng files means to take it. */
static int
open_filter(struct capture *c, const char *filter, struct err *e)
{
	struct bpf_program *program;
	int link_type = c->classic.link_type, rc;

	c->filter = strdup(filter);
	if (c->filter == NULL) {
		return err_set(e, -ENOMEM, "%s: out of memory", c->name);
	}
	if (c->reader == READER_NG) {
		rc = capture_ng_next(&c->ng, &c->held, e);
		if (rc < 0) {
			return err_prefix(e, rc, "%s", c->name);
		}
		c->is_held = rc > 0;
		link_type = rc > 0 ? c->held.link_type : DLT_EN10MB;
	}
	return find_filter(c, dlt_of(link_type), &program, e);
}

static int
open_reader(struct capture *c, const struct capture_settings *s, struct err *e)
{
	if (capture_classic_begin(&c->source, &c->classic)) {
		c->reader = READER_CLASSIC;
	} else if (capture_ng_is(&c->source)) {
		c->reader = READER_NG;
		capture_ng_begin(&c->source, &c->ng);
	} else {
		return open_with_libpcap(c, s, e);
	}
	if (s->filter == NULL || *s->filter == '\0') {
		return 0;
	}
	return open_filter(c, s->filter, e);
}

int
capture_open_file(const char *path, const struct capture_settings *s,
    struct capture **ret, struct err *e)
{
	struct capture *c =
	    capture_new(strcmp(path, "-") == 0 ? "standard input" : path, e);
	ssize_t have;
	int rc;

	if (c == NULL) {
		return -ENOMEM;
	}
	rc = input_open(path, &c->source, e);
	if (rc < 0) {
		goto out;
	}
	have = input_fill(&c->source, CAPTURE_CLASSIC_HEADER, e);
	if (have < 0) {
		rc = err_prefix(e, (int)have, "%s", c->name);
		goto out;
	}
	if (have == 0) {
		rc = err_set(e, -ENODATA,
		    "%s: empty file (expected a pcap or pcapng capture)", c->name);
		goto out;
	}
	rc = open_reader(c, s, e);
	if (rc < 0) {
		goto out;
	}

	*ret = c;
	c = NULL;
	rc = 0;
out:
	capture_close(c);
	return rc;
}

void
capture_set_wait(struct capture *c, compressed_wait *wait, void *data)
{
	compressed_set_wait(&c->source.file, wait, data);
}

/* Says which interface was perhaps meant. */
static int
no_such_interface(const char *name, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];
	const char *names[64], *nearest;
	unsigned n = 0;
	pcap_if_t *all = NULL;
	int rc;

	if (pcap_findalldevs(&all, why) == 0) {
		for (pcap_if_t *i = all; i != NULL && n < 64; i = i->next) {
			names[n++] = i->name;
		}
	}
	nearest = err_nearest(name, names, n);
	rc = nearest == NULL
		 ? err_set(e, -ENODEV,
		       "no interface \"%s\" (\"ip link\" lists them; "
		       "\"any\" means all)",
		       name)
		 : err_set(e, -ENODEV, "no interface \"%s\"; did you mean \"%s\"?",
		       name, nearest);
	pcap_freealldevs(all);
	return rc;
}

static int
live_error(pcap_t *p, const char *name, int status, struct err *e)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return no_such_interface(name, e);
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return err_set(e, -EPERM,
		    "%s: capturing is not permitted; run as root or give the program "
		    "the capability (setcap cap_net_raw=ep)",
		    name);
	case PCAP_ERROR_IFACE_NOT_UP:
		return err_set(e, -ENETDOWN,
		    "%s: the interface is down (\"ip link set %s up\")", name, name);
	default:
		return err_set(e, -EIO, "%s: cannot capture: %s", name,
		    *pcap_geterr(p) == '\0' ? pcap_statustostr(status)
					    : pcap_geterr(p));
	}
}

/* Not in immediate mode: the kernel hands over whole blocks of packets (TPACKET_V3),
 * which need no system call per packet. */
static int
configure_live(pcap_t *p, const char *name, const struct capture_settings *s)
{
	uint32_t ring = s->ring_bytes == 0 ? RING_DEFAULT : s->ring_bytes;

	pcap_set_snaplen(p, (int)(s->snaplen == 0 ? SNAPLEN_DEFAULT : s->snaplen));
	pcap_set_promisc(p, s->promiscuous && strcmp(name, "any") != 0);
	pcap_set_timeout(p, LIVE_TIMEOUT_MS);
	pcap_set_buffer_size(p, ring > INT_MAX ? INT_MAX : (int)ring);
	pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO);
	return pcap_activate(p);
}

int
capture_open_live(const char *interface, const struct capture_settings *s,
    struct capture **ret, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	struct capture *c = capture_new(interface, e);
	int rc;

	if (c == NULL) {
		return -ENOMEM;
	}
	c->is_live = true;
	c->pcap = pcap_create(interface, why);
	if (c->pcap == NULL) {
		rc = err_set(e, -EIO, "%s: cannot capture: %s", interface, why);
		goto out;
	}
	rc = configure_live(c->pcap, interface, s);
	if (rc < 0) {
		rc = live_error(c->pcap, interface, rc, e);
		goto out;
	}
	rc = set_filter(c, s, e);
	if (rc < 0) {
		goto out;
	}
	if (pcap_setnonblock(c->pcap, 1, why) != 0) {
		rc = err_set(
		    e, -EIO, "%s: cannot capture without blocking: %s", interface, why);
		goto out;
	}

	*ret = c;
	c = NULL;
	rc = 0;
out:
	capture_close(c);
	return rc;
}

/* A file that ends in the middle of a packet (a full disk, a killed tcpdump) is common
 * and not an error: the packets before count. */
static int
libpcap_failed(struct capture *c, struct err *e)
{
	FILE *file = pcap_file(c->pcap); /* NULL: live */

	c->has_ended = true;
	if (file != NULL && feof(file) && !ferror(file)) {
		c->cut_short = 1;
		return 0;
	}
	return err_set(e, -EIO, "%s: after %llu packets: %s", c->name,
	    (unsigned long long)c->received, pcap_geterr(c->pcap));
}

static int
next_from_libpcap(struct capture *c, struct capture_packet *ret, struct err *e)
{
	struct pcap_pkthdr *header;
	const u_char *bytes;

	switch (pcap_next_ex(c->pcap, &header, &bytes)) {
	case 1:
		ret->bytes = bytes;
		ret->captured = header->caplen;
		ret->wire = header->len < header->caplen ? header->caplen : header->len;
		/* with nanosecond precision tv_usec holds nanoseconds */
		ret->time_ns = (uint64_t)header->ts.tv_sec * NS_PER_SECOND +
			       (uint64_t)header->ts.tv_usec;
		ret->link_type = pcap_datalink(c->pcap);
		return 1;
	case PCAP_ERROR:
		return libpcap_failed(c, e);
	case 0: /* live: nothing waits */
		return 0;
	default: /* the end of the file */
		c->has_ended = !c->is_live;
		return 0;
	}
}

static inline int
read_file(struct capture *c, struct capture_packet *ret, struct err *e)
{
	if (c->reader == READER_CLASSIC) {
		return capture_classic_next(&c->classic, ret, e);
	}
	if (c->is_held) {
		c->is_held = false;
		*ret = c->held;
		return 1;
	}
	return capture_ng_next(&c->ng, ret, e);
}

static inline int
next_from_file(struct capture *c, struct capture_packet *ret, struct err *e)
{
	int rc;

	do {
		rc = read_file(c, ret, e);
		if (rc <= 0) {
			c->has_ended = true;
			c->cut_short = c->classic.cut_short || c->ng.cut_short;
			return rc == 0 ? 0
				       : err_prefix(e, rc, "%s: after %llu packets",
					     c->name, (unsigned long long)c->received);
		}
		ret->link_type = dlt_of(ret->link_type);
		if (c->filter != NULL) {
			rc = pass_filter(c, ret, e);
		}
	} while (rc == 0);
	c->has_ended = rc < 0;
	return rc;
}

int
capture_next(struct capture *c, struct capture_packet *ret, struct err *e)
{
	int rc;

	if (c->has_ended) {
		return 0;
	}
	rc = c->reader == READER_LIBPCAP ? next_from_libpcap(c, ret, e)
					 : next_from_file(c, ret, e);
	c->received += rc > 0;
	return rc;
}

int
capture_fd(const struct capture *c)
{
	return c->is_live ? pcap_get_selectable_fd(c->pcap) : -1;
}

const char *
capture_name(const struct capture *c)
{
	return c->name;
}

void
capture_counts(struct capture *c, struct capture_counts *ret)
{
	struct pcap_stat stats;

	*ret = (struct capture_counts){
	    .received = c->received,
	    .cut_short = c->cut_short,
	};
	if (!c->is_live) {
		ret->size = c->source.file.size;
		ret->position = compressed_position(&c->source.file);
	} else if (pcap_stats(c->pcap, &stats) == 0) {
		ret->kernel_dropped = stats.ps_drop;
		ret->interface_dropped = stats.ps_ifdrop;
	}
}

void
capture_close(struct capture *c)
{
	if (c == NULL) {
		return;
	}
	if (c->pcap != NULL) {
		pcap_close(c->pcap); /* a file's stream with it, before its source */
	}
	capture_ng_end(&c->ng);
	for (unsigned i = 0; i < c->filter_count; i++) {
		pcap_freecode(&c->filters[i].program);
	}
	if (!c->is_live) {
		input_close(&c->source);
	}
	free(c->filter);
	free(c->name);
	free(c);
}
