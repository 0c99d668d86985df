/* libpcap's format with times in nanoseconds, of raw IP. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

enum {
    MAGIC_NS = 0xa1b23c4d,
    SNAP_BYTES = 262144,
    LINK_RAW = 101,
    SEGMENT_BYTES_MAX = 32768,
    FLAG_FIN = 1,
    FLAG_PUSH = 8,
    FLAG_ACK = 16
};

struct end {
    uint8_t address[16];
    uint16_t port;
};

struct trace_pcap {
    FILE *file;
    bool six;
    struct end end[2];  /* by enum trace_kind: who sends it */
    uint64_t behind[2]; /* of what each has sent */
};

/* Address and port, the brackets of IPv6 taken off. */
static bool read_end(const char *text, struct end *end, bool *six)
{
    char address[64];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    *six = text[0] == '[';
    if (!colon || len >= sizeof address || len < 2)
        return false;
    memcpy(address, text + *six, len - 2 * *six);
    address[len - 2 * *six] = '\0';
    end->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return inet_pton(*six ? AF_INET6 : AF_INET, address, end->address) == 1;
}

struct trace_pcap *trace_pcap_new(const char *path, const char *peer, const char *local, char *error,
                                  size_t error_size)
{
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, precision, snap, link;
    } header = {.magic = MAGIC_NS, .major = 2, .minor = 4, .snap = SNAP_BYTES, .link = LINK_RAW};
    struct trace_pcap pcap = {.behind = {0, 0}};
    bool six;
    if (!read_end(peer, &pcap.end[TRACE_IN], &pcap.six) || !read_end(local, &pcap.end[TRACE_OUT], &six) ||
        six != pcap.six) {
        snprintf(error, error_size,
                 "the connection's addresses are of no kind that a pcap can have: %s and %s", peer, local);
        return NULL;
    }
    pcap.file = fopen(path, "we");
    if (!pcap.file) {
        snprintf(error, error_size, "%s can't be written: %s", path, strerror(errno));
        return NULL;
    }
    fwrite(&header, sizeof header, 1, pcap.file);
    struct trace_pcap *kept = malloc(sizeof *kept);
    if (kept)
        *kept = pcap;
    else
        snprintf(error, error_size, "no memory");
    return kept;
}

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return len % 2 ? sum + ((uint32_t)bytes[len - 1] << 8) : sum;
}

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value & 0xffff);
}

static void put_sum(uint8_t *to, uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    put16(to, ~sum & 0xffff);
}

static size_t put_ip(const struct trace_pcap *p, uint8_t *ip, const struct end *from, const struct end *to,
                     size_t len)
{
    if (p->six) {
        memset(ip, 0, 40);
        ip[0] = 0x60;
        put16(ip + 4, (uint32_t)len);
        ip[6] = IPPROTO_TCP;
        ip[7] = 64;
        memcpy(ip + 8, from->address, 16);
        memcpy(ip + 24, to->address, 16);
        return 40;
    }
    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, (uint32_t)(20 + len));
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    memcpy(ip + 12, from->address, 4);
    memcpy(ip + 16, to->address, 4);
    put_sum(ip + 10, add_words(0, ip, 20));
    return 20;
}

/* One segment; each side's first byte has the number 1. */
static void put_segment(struct trace_pcap *p, const struct tap_record *record, unsigned side, uint8_t flags,
                        uint64_t offset, const uint8_t *bytes, size_t len)
{
    uint8_t packet[40 + 20] = {0};
    const struct end *from = &p->end[side], *to = &p->end[!side];
    size_t ip = put_ip(p, packet, from, to, 20 + len), address = p->six ? 16 : 4;
    uint8_t *tcp = packet + ip;
    put16(tcp, from->port);
    put16(tcp + 2, to->port);
    put32(tcp + 4, (uint32_t)(offset + 1));
    put32(tcp + 8, (uint32_t)(p->behind[!side] + 1));
    tcp[12] = 5 << 4;
    tcp[13] = flags | FLAG_ACK;
    put16(tcp + 14, 65535);
    uint32_t sum = add_words(add_words(0, from->address, address), to->address, address);
    put_sum(tcp + 16, add_words(add_words(sum + IPPROTO_TCP + 20 + (uint32_t)len, tcp, 20), bytes, len));
    const uint32_t head[] = {(uint32_t)(record->ns / 1000000000), (uint32_t)(record->ns % 1000000000),
                             (uint32_t)(ip + 20 + len), (uint32_t)(ip + 20 + len)};
    fwrite(head, sizeof head, 1, p->file);
    fwrite(packet, ip + 20, 1, p->file);
    fwrite(bytes, 1, len, p->file);
}

void trace_pcap_add(struct trace_pcap *p, const struct tap_record *record, const uint8_t *bytes)
{
    if (record->kind == TRACE_ENDED) {
        put_segment(p, record, TRACE_IN, FLAG_FIN, p->behind[TRACE_IN], bytes, 0);
        return;
    }
    if (record->kind != TRACE_IN && record->kind != TRACE_OUT)
        return;
    for (size_t at = 0; at < record->bytes;) {
        size_t len = record->bytes - at < SEGMENT_BYTES_MAX ? record->bytes - at : SEGMENT_BYTES_MAX;
        put_segment(p, record, record->kind, FLAG_PUSH, record->offset + at, bytes + at, len);
        at += len;
        p->behind[record->kind] = record->offset + at;
    }
}

bool trace_pcap_close(struct trace_pcap *p)
{
    bool good = !ferror(p->file);
    good &= fclose(p->file) == 0;
    free(p);
    return good;
}
