/* Packet bytes -> struct packet: link layer, IP, transport.  Copies values out; never
 * reads beyond the captured bytes; never allocates.  Later fragments find their first
 * fragment's ports in a bounded table owned by the decoder. */
#ifndef EXPORTER_DECODE_DECODE_H
#define EXPORTER_DECODE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/capture/capture.h"
#include "exporter/decode/packet.h"

struct decoder;

/* vlan_in_key: conversations of different VLANs are different.  NULL: no memory. */
struct decoder *decoder_new(bool vlan_in_key);
void decoder_free(struct decoder *d);

/* PACKET_KEPT and *ret filled, or the reason. */
enum packet_drop decode_packet(
    struct decoder *d, const struct capture_packet *in, struct packet *ret);

#endif
