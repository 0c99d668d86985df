/* What device_pcap writes is what went by, and what goes by is not changed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "feed_device.h"
#include "tcp/device_pcap.h"

static uint64_t now_ns = UINT64_C(1700000000123456789);

static uint64_t clock_ns(void)
{
    return now_ns++;
}

static char error[256];

static size_t read_back(const char *path, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    cr_assert(file);
    size_t n = fread(bytes, 1, size, file);
    fclose(file);
    return n;
}

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

Test(device_pcap, frames_of_both_ways_are_written)
{
    char path[] = "/tmp/gannet-pcap-XXXXXX";
    uint8_t bytes[4096];
    struct feed_device fake;
    struct frame frame;
    close(mkstemp(path));
    feed_device_init(&fake);
    struct device *d = device_pcap_new(&fake.device, path, clock_ns, error, sizeof error);
    cr_assert(d, "%s", error);
    cr_assert_eq(d->mtu_max, 1500);
    feed_device_put(&fake, "received frame", 14);
    cr_assert_eq(d->ops->rx(d, &frame, 1), 1);
    d->ops->free(d, frame.buffer);
    const struct iovec pieces[] = {{(void *)(uintptr_t) "payload ", 8}, {(void *)(uintptr_t) "two", 3}};
    struct tx_frame out = {
        .head = (uint8_t *)(uintptr_t) "head", .head_len = 4, .pieces = 2, .payload = 11, .piece = pieces};
    cr_assert(d->ops->tx(d, &out));
    cr_assert_eq(d->tx_given, 1);
    fake.full = true;
    cr_assert(!d->ops->tx(d, &out), "what is not taken is not written");
    d->ops->flush(d);
    cr_assert_eq(d->tx_done, 1);
    /* A turn without frames writes the file. */
    cr_assert_eq(d->ops->rx(d, &frame, 1), 0);
    size_t n = read_back(path, bytes, sizeof bytes);
    cr_assert_eq(n, 24 + 16 + 14 + 16 + 15);
    cr_assert_eq(word(bytes), 0xa1b23c4d);
    cr_assert_eq(word(bytes + 20), 1, "Ethernet");
    cr_assert_eq(word(bytes + 24), 1700000000);
    cr_assert_eq(word(bytes + 28), 123456789);
    cr_assert_eq(word(bytes + 32), 14);
    cr_assert_eq(word(bytes + 36), 14);
    cr_assert(memcmp(bytes + 40, "received frame", 14) == 0);
    cr_assert_eq(word(bytes + 54 + 4), 123456790);
    cr_assert_eq(word(bytes + 54 + 8), 15);
    cr_assert(memcmp(bytes + 70, "headpayload two", 15) == 0);
    d->ops->close(d);
    cr_assert(fake.closed);
    cr_assert_eq(fake.freed, 1);
    unlink(path);
}

Test(device_pcap, a_file_that_cannot_be_written_is_named)
{
    struct feed_device fake;
    feed_device_init(&fake);
    cr_assert_null(device_pcap_new(&fake.device, "/nowhere/x.pcap", clock_ns, error, sizeof error));
    cr_assert(strstr(error, "cannot write frames to /nowhere/x.pcap"), "%s", error);
    cr_assert(!fake.closed);
}
