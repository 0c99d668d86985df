/* A gannetd that speaks MQTT and STOMP too; else it is amqplib's. */
'use strict';

const {Broker} = require('../amqplib/broker');

const KINDS = ['mqtt', 'web_mqtt', 'stomp', 'web_stomp'];

class Site extends Broker {
    constructor() {
        super();
        this.more = Object.fromEntries(KINDS.map((kind) => [`listeners.${kind}`, `${this.address}:0`]));
    }

    /* Again on the same ports. */
    async start() {
        await super.start();
        for (const kind of KINDS)
            this.more[`listeners.${kind}`] = `${this.address}:${this.portOf(kind)}`;
        return this;
    }

    portOf(kind) {
        const pattern = new RegExp(` ${kind} listens on \\S*:(\\d+)$`);
        return Number(this.log.findLast((line) => pattern.test(line)).match(pattern)[1]);
    }

    get mqttUrl() {
        return `mqtt://${this.address}:${this.portOf('mqtt')}`;
    }

    get webUrl() {
        return `ws://${this.address}:${this.portOf('web_mqtt')}/ws`;
    }

    get webStompUrl() {
        return `ws://${this.address}:${this.portOf('web_stomp')}/ws`;
    }
}

module.exports = {Site};
