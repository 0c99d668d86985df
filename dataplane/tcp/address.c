#include <arpa/inet.h>
#include <string.h>

#include "tcp/ip.h"

/* RFC 4291 section 2.5.5.2. */
static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

bool ip_address_is_v4(const struct ip_address *address)
{
    return memcmp(address->bytes, v4_mapped, sizeof v4_mapped) == 0;
}

bool ip_address_parse(const char *text, struct ip_address *address)
{
    memcpy(address->bytes, v4_mapped, sizeof v4_mapped);
    return inet_pton(AF_INET, text, address->bytes + 12) == 1 ||
           inet_pton(AF_INET6, text, address->bytes) == 1;
}

bool ip_prefix_parse(const char *text, struct ip_prefix *prefix)
{
    char host[IP_TEXT];
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    unsigned bits = 0, digits = 0;
    for (; slash[1 + digits] >= '0' && slash[1 + digits] <= '9' && digits < 4; digits++)
        bits = bits * 10 + (unsigned)(slash[1 + digits] - '0');
    if (digits == 0 || slash[1 + digits] != '\0' || !ip_address_parse(host, &prefix->address))
        return false;
    prefix->bits = (uint8_t)bits;
    return bits <= (ip_address_is_v4(&prefix->address) ? 32u : 128u);
}

char *ip_address_text(const struct ip_address *address, char *text)
{
    bool v4 = ip_address_is_v4(address);
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), text, IP_TEXT))
        text[0] = '\0';
    return text;
}
