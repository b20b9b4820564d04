/* The floor every exporter is compared with: libpcap's own loop over a capture, looking
 * at one byte of each packet. */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	uint64_t packets = 0, octets = 0, sum = 0;
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], why) : NULL;

	if (p == NULL) {
		fprintf(
		    stderr, "floor: %s\n", argc == 2 ? why : "usage: floor CAPTURE");
		return 2;
	}
	while (pcap_next_ex(p, &header, &bytes) == 1) {
		packets++;
		octets += header->len;
		sum += header->caplen > 12 ? bytes[12] : 0;
	}
	printf("%llu %llu %llu\n", (unsigned long long)packets,
	    (unsigned long long)octets, (unsigned long long)sum);
	pcap_close(p);
	return 0;
}
