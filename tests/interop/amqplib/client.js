/* What the tests of amqplib have in common. */
'use strict';

const amqp = require('amqplib');

let names = 0;

function name() {
    return `amqplib-${process.pid}-${names++}`;
}

/* Runs work with a channel of a connection of its own. kind: how it is made. */
async function withChannelOf(broker, work, kind = 'createChannel') {
    const connection = await amqp.connect(broker.url);
    try {
        return await work(await connection[kind](), connection);
    } finally {
        await connection.close();
    }
}

async function drain(channel, queue) {
    const got = [];
    for (let message; (message = await channel.get(queue, {noAck: true}));)
        got.push(message);
    return got;
}

/* When the connection has closed, be it with an error. */
function closing(connection) {
    connection.on('error', () => {});
    return new Promise((resolve) => { connection.once('close', resolve); });
}

function texts(messages) {
    return messages.map((message) => message.content.toString());
}

/* Resolves when as many messages as wanted have been consumed; each is handed to take. */
function consume(channel, queue, wanted, take, options) {
    return new Promise((resolve, reject) => {
        let count = 0;
        channel.consume(queue, (message) => {
            take(message);
            if (++count === wanted)
                resolve();
        }, options).catch(reject);
    });
}

module.exports = {closing, consume, drain, name, texts, withChannelOf};
