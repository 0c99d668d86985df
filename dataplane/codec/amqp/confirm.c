/* Publisher confirms (RabbitMQ's extension): confirm.select, and basic.ack and nack to the publisher. */
#include "codec/amqp/handlers.h"
#include "codec/amqp/publisher.h"

bool on_confirm_select(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_CONFIRM_SELECT *m = (const void *)args;
    if (ch->mode == MODE_TX) {
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "cannot switch from tx to confirm mode");
        return true;
    }
    struct publisher *p = publisher_of(c, ch);
    if (ch->mode == MODE_PLAIN)
        p->confirm_base = p->unconfirmed.next - 1;
    ch->mode = MODE_CONFIRM;
    if (!m->nowait.n)
        SEND(c, ch->number, CONFIRM_SELECT_OK);
    return true;
}

void channel_confirm(struct amqp *c, struct channel *ch)
{
    if (ch->mode != MODE_CONFIRM || !ch->publisher)
        return;
    struct confirmed confirmed;
    while (unconfirmed_take(&ch->publisher->unconfirmed, &confirmed)) {
        union value tag = num(confirmed.seq - ch->publisher->confirm_base),
                    multiple = num(confirmed.multiple);
        if (confirmed.refused)
            SEND(c, ch->number, BASIC_NACK, .delivery_tag = tag, .multiple = multiple);
        else
            SEND(c, ch->number, BASIC_ACK, .delivery_tag = tag, .multiple = multiple);
    }
}
