#include "exposition.h"

#include <jansson.h>
#include <stdbool.h>

void exposition_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_value(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    exposition_head(out, name, type, help);
    fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

void exposition_label(FILE *out, const char *value)
{
    json_t *text = json_string(value);
    bool is_utf8 = text;
    json_decref(text);
    for (; *value; value++)
        switch (*value) {
        case '\\':
            fputs("\\\\", out);
            break;
        case '"':
            fputs("\\\"", out);
            break;
        case '\n':
            fputs("\\n", out);
            break;
        default:
            fputc(is_utf8 || !(*value & 0x80) ? *value : '?', out);
        }
}

void exposition_histogram(FILE *out, const char *name, const char *label, const struct histogram *h,
                          unsigned first, unsigned last, double scale)
{
    uint64_t count = 0;
    const char *comma = *label ? "," : "";
    for (unsigned i = 0; i <= last; i++) {
        count += h->bucket[i];
        if (i >= first)
            fprintf(out, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", name, label, comma,
                    (double)histogram_bound(i) * scale, (unsigned long long)count);
    }
    count = histogram_count(h);
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma, (unsigned long long)count);
    const char *open = *label ? "{" : "", *close = *label ? "}" : "";
    fprintf(out, "%s_sum%s%s%s %.9g\n", name, open, label, close, (double)h->sum * scale);
    fprintf(out, "%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)count);
}

void exposition_identity(FILE *out, const char *node, const char *endpoint)
{
    exposition_head(out, "rabbitmq_identity_info", "untyped", "RabbitMQ node & cluster identity info");
    fputs("rabbitmq_identity_info{rabbitmq_node=\"", out);
    exposition_label(out, node);
    fputs("\",rabbitmq_cluster=\"", out);
    exposition_label(out, node);
    fprintf(out, "\",rabbitmq_endpoint=\"%s\"} 1\n", endpoint);
    exposition_head(out, "rabbitmq_build_info", "untyped", "Version of the broker");
    fputs("rabbitmq_build_info{rabbitmq_version=\"" GANNET_VERSION "\",product_name=\"Gannet\","
          "product_version=\"" GANNET_VERSION "\"} 1\n",
          out);
}
