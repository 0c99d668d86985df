/*
 * A device carries Ethernet frames for one front, on the front's thread: one receive and one transmit queue
 * of a DPDK port, a simulated wire, or a wrapper of these (one that records to a pcap file, one that loses
 * and reorders, one that hands frames of other fronts' flows over). Nothing in it blocks, allocates or calls
 * the system.
 *
 * Received frames are lent: whoever has the struct frame owns the buffer until it gives it back with free().
 * In front of each frame there are at least FRAME_HEADROOM bytes that are the owner's to write; the headers,
 * once read, are too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    FRAME_HEADROOM = 128, /* bytes, at least, before a received frame's first */
    TX_PIECES_MAX = 16,   /* pieces of payload in one frame to send */
    DEVICE_BURST = 32,    /* frames taken in one call of rx */
};

enum frame_flags {
    FRAME_IP_SUM_GOOD = 1, /* the device has checked the IPv4 header's sum */
    FRAME_L4_SUM_GOOD = 2, /* and TCP's (UDP's, ICMPv6's) */
    FRAME_IP_SUM_BAD = 4,  /* it has, and it is wrong */
    FRAME_L4_SUM_BAD = 8,
    FRAME_VLAN_STRIPPED = 16, /* the tag is in vlan, no longer in the frame */
};

/* A received frame, whole and in one piece. */
struct frame {
    uint8_t
        *at; /* its first byte: of the Ethernet header, later of what is left when headers are taken off */
    uint32_t len;   /* bytes from at */
    uint16_t vlan;  /* identifier, with FRAME_VLAN_STRIPPED */
    uint16_t flags; /* enum frame_flags */
    uint8_t *room;  /* the first byte of the buffer: all before `at` is the owner's to write */
    void *buffer;   /* the device's name for it: a pointer, or an even number */
};

enum tx_flags {
    TX_IP_SUM = 1, /* the device is to fill in the IPv4 header's sum */
    TX_TCP_SUM =
        2, /* and TCP's; the field holds the sum of the pseudo-header (without the length, with TX_TSO) */
    TX_TSO = 4, /* cut into segments of mss bytes */
    TX_IPV6 = 8,
};

/* A frame to send. The headers are copied by tx(); the pieces are lent: they must stay untouched until
 * tx_done has reached what tx_given was after the call. */
struct tx_frame {
    uint8_t *head;         /* Ethernet, IP and TCP (or ICMP ...) header, in one piece */
    uint16_t head_len;     /* without pieces, head may be a whole frame of mtu_max */
    uint16_t l3_at, l4_at; /* where in head IP and what is above it begin; with any flag */
    uint16_t mss;          /* TX_TSO: bytes of payload of each segment */
    uint16_t flags;        /* enum tx_flags, only such as the device offers */
    uint16_t pieces;       /* at most the device's pieces_max */
    uint32_t payload;      /* bytes in all pieces */
    const struct iovec *piece;
};

struct device;

struct device_stats {
    uint64_t rx_frames, rx_bytes, rx_missed, rx_errors, rx_no_buffer;
    uint64_t tx_frames, tx_bytes, tx_errors;
    uint32_t link_mbps; /* 0: unknown */
    bool link_up;
};

struct device_ops {
    /* Takes up to n (at most DEVICE_BURST) received frames; returns how many. They are the caller's now. */
    unsigned (*rx)(struct device *d, struct frame *frames, unsigned n);
    /* Gives a received frame's buffer back. */
    void (*free)(struct device *d, void *buffer);
    /* Takes a frame to send. Returns false, and nothing is taken, when there is no room; flush() and time
     * help. */
    bool (*tx)(struct device *d, const struct tx_frame *frame);
    /* What tx() took goes out now. */
    void (*flush)(struct device *d);
    /* Of the whole port, if the device is a queue of one. Not on the hot path. */
    void (*stats)(struct device *d, struct device_stats *stats);
    void (*close)(struct device *d);
};

/* Every device begins with this. */
struct device {
    const struct device_ops *ops;
    /* What it is; doesn't change once it is made. */
    uint8_t mac[6];
    uint16_t mtu_max;    /* bytes of an IP packet in one frame, at most */
    uint16_t offers;     /* enum tx_flags it can do */
    uint16_t pieces_max; /* of a tx_frame; at least 1 */
    uint32_t rx_share;   /* received frames that any one part of the owner may keep at once, a quarter of all;
                            0: no bound */
    uint32_t tso_max;    /* payload bytes of one TX_TSO frame; 0: no TSO */
    /* Frames with pieces (payload > 0) that tx() has taken, and those of them that are through: from the
     * first on. */
    uint64_t tx_given, tx_done;
};

/* How many received frames a part of the owner keeps at most, which would keep `most` of a device without a
 * bound. */
static inline uint32_t device_rx_share(const struct device *device, uint32_t most)
{
    return device->rx_share && device->rx_share < most ? device->rx_share : most;
}
