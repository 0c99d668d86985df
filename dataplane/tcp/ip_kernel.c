/* The exception path: frames that nobody here wants are the kernel's, and what it sends goes out as it is. */
#include <string.h>

#include "tcp/ip_inside.h"

/* The device took the VLAN tag off; the kernel has to see it. */
static struct span with_tag(const struct frame *frame)
{
    if (!(frame->flags & FRAME_VLAN_STRIPPED) || frame->at - frame->room < VLAN_TAG)
        return span_of(frame->at, frame->len);
    uint8_t *at = frame->at - VLAN_TAG;
    memmove(at, frame->at, ETHER_TYPE);
    put_be16(put_be16(at + ETHER_TYPE, ETHER_TYPE_VLAN), frame->vlan);
    return span_of(at, frame->len + VLAN_TAG);
}

void ip_to_kernel(struct ip *ip, const struct frame *frame)
{
    struct device *kernel = ip->kernel;
    struct span bytes = with_tag(frame);
    /* The port may carry longer ones. */
    if (!ip_fits(kernel, bytes.at, bytes.len)) {
        ip_count(&ip->stats.dropped_malformed);
        return;
    }
    struct tx_frame copy = {.head = (uint8_t *)(uintptr_t)bytes.at, .head_len = (uint16_t)bytes.len};
    if (!kernel->ops->tx(kernel, &copy)) {
        ip_count(&ip->stats.dropped_full);
        return;
    }
    ip_count(&ip->stats.to_kernel);
    ip->kernel_given = true;
}

unsigned ip_from_kernel(struct ip *ip)
{
    struct frame frames[DEVICE_BURST];
    struct device *kernel = ip->kernel;
    unsigned n = kernel->ops->rx(kernel, frames, DEVICE_BURST);
    for (unsigned i = 0; i < n; i++) {
        struct span bytes = with_tag(&frames[i]);
        if (ip_transmit_bytes(ip, (uint8_t *)(uintptr_t)bytes.at, bytes.len))
            ip_count(&ip->stats.from_kernel);
        kernel->ops->free(kernel, frames[i].buffer);
    }
    if (ip->kernel_given)
        kernel->ops->flush(kernel);
    ip->kernel_given = false;
    return n;
}
