/* What npm's amqplib does with arguments and headers: dead letters, priorities, limits, streams, last values, delays, exactly once. */
'use strict';

const assert = require('node:assert/strict');
const {after, before, test} = require('node:test');
const {setTimeout: sleep} = require('node:timers/promises');

const amqp = require('amqplib');
const {Broker, PEER} = require('./broker');
const {closing, consume, drain, name, texts, withChannelOf} = require('./client');

const plain = {timeout: 120000};
const ours = {timeout: 120000, skip: PEER ? 'RabbitMQ has no such thing' : false};
const killing = {timeout: 240000, skip: PEER ? 'kills the broker' : false};
const PATIENCE_MS = 30000;
let broker;

before(async () => {
    broker = await new Broker().start();
});

after(() => broker.stop());

const withChannel = (work, kind) => withChannelOf(broker, work, kind);

/* Until as many messages are ready. */
async function ready(channel, queue, count) {
    for (const end = Date.now() + PATIENCE_MS;; await sleep(10)) {
        const {messageCount} = await channel.checkQueue(queue);
        if (messageCount === count)
            return;
        assert.ok(Date.now() < end, `${messageCount} messages in ${queue}, not ${count}`);
    }
}

/* Consumes as many, on a channel of its own; acknowledges each. */
async function take(connection, queue, count, args = {}) {
    const channel = await connection.createChannel();
    const got = [];
    await channel.prefetch(100);
    await consume(channel, queue, count, (message) => {
        got.push(message);
        channel.ack(message);
    }, {arguments: args});
    await channel.close();
    return got;
}

/* ---- what a queue sheds ---- */

test('dead letters tell why', plain, () => withChannel(async (channel) => {
    const dead = (await channel.assertQueue('', {exclusive: true})).queue;
    const die = async (options, act) => {
        const {queue} = await channel.assertQueue('', {
            exclusive: true, deadLetterExchange: '', deadLetterRoutingKey: dead, ...options,
        });
        await act(queue);
        await ready(channel, dead, 1);
        const [letter] = await drain(channel, dead);
        const [death] = letter.properties.headers['x-death'];
        assert.deepEqual([death.queue, death.exchange, death['routing-keys'], death.count], [queue, '', [queue], 1]);
        assert.equal(letter.properties.headers['x-first-death-queue'], queue);
        assert.equal(letter.content.toString(), 'x');
        assert.equal(letter.properties.headers.own, 'kept');
        return death.reason;
    };
    const send = (queue, options) => channel.sendToQueue(queue, Buffer.from('x'), {headers: {own: 'kept'}, ...options});
    assert.equal(await die({messageTtl: 50}, send), 'expired');
    assert.equal(await die({}, (queue) => send(queue, {expiration: 50})), 'expired');
    assert.equal(await die({maxLength: 1}, (queue) => send(queue) && send(queue)), 'maxlen');
    assert.equal(await die({}, async (queue) => {
        send(queue);
        channel.nack(await channel.get(queue), false, false);
    }), 'rejected');
}));

test('a full queue that refuses', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true, maxLength: 2, arguments: {'x-overflow': 'reject-publish'}});
    const send = (text) => new Promise((resolve) => {
        channel.sendToQueue(queue, Buffer.from(text), {}, (error) => resolve(error === null));
    });
    assert.deepEqual([await send('1'), await send('2'), await send('3')], [true, true, false]);
    assert.deepEqual(texts(await drain(channel, queue)), ['1', '2']);
}, 'createConfirmChannel'));

test('a queue that nobody uses goes', plain, () => withChannel(async (channel, connection) => {
    const queue = name();
    await channel.assertQueue(queue, {durable: false, expires: 100});
    await sleep(800);
    const other = await connection.createChannel();
    other.on('error', () => {});
    await assert.rejects(other.checkQueue(queue), /404/);
}));

test('priorities', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true, maxPriority: 10});
    const priorities = [...Array(100).keys()].map((n) => (n * 7) % 13);
    priorities.forEach((priority, n) => channel.sendToQueue(queue, Buffer.from(`${n}`), {priority}));
    await ready(channel, queue, priorities.length);
    const order = [...priorities.keys()].sort((a, b) => Math.min(priorities[b], 10) - Math.min(priorities[a], 10) || a - b);
    assert.deepEqual(texts(await drain(channel, queue)), order.map(String));
}));

/* ---- who gets it, and how often ---- */

test('consumers with priorities, and a single active one', plain, () => withChannel(async (channel, connection) => {
    const {queue} = await channel.assertQueue(name(), {autoDelete: true, arguments: {'x-single-active-consumer': true}});
    const low = await connection.createChannel();
    const got = [];
    const consumer = async (on, who, priority) => (await on.consume(queue, (message) => {
        got.push(who);
        on.ack(message);
    }, {priority})).consumerTag;
    const first = await consumer(channel, 'first', 0);
    await consumer(low, 'low', 1);
    await consumer(low, 'high', 5);
    const send = async () => {
        const count = got.length;
        channel.sendToQueue(queue, Buffer.from('x'));
        while (got.length === count)
            await sleep(5);
    };
    await send();
    await channel.cancel(first);
    await send();
    assert.deepEqual(got, ['first', 'high']);
}));

test('what a quorum queue delivered too often', plain, () => withChannel(async (channel) => {
    const dead = (await channel.assertQueue('', {exclusive: true})).queue;
    const queue = name();
    await channel.assertQueue(queue, {
        durable: true, deadLetterExchange: '', deadLetterRoutingKey: dead,
        arguments: {'x-queue-type': 'quorum', 'x-delivery-limit': 3},
    });
    channel.sendToQueue(queue, Buffer.from('poison'), {persistent: true});
    await channel.waitForConfirms();
    const counts = [];
    const {consumerTag} = await channel.consume(queue, (message) => {
        counts.push((message.properties.headers ?? {})['x-delivery-count'] ?? 0);
        channel.nack(message);
    });
    await ready(channel, dead, 1);
    await channel.cancel(consumerTag);
    assert.deepEqual(counts, [0, 1, 2, 3]);
    const [letter] = await drain(channel, dead);
    assert.equal(letter.properties.headers['x-first-death-reason'], 'delivery_limit');
    await channel.deleteQueue(queue);
}, 'createConfirmChannel'));

/* ---- streams ---- */

test('a stream from any offset, live, by any number of consumers', plain, () => withChannel(async (channel, connection) => {
    const queue = name();
    await channel.assertQueue(queue, {durable: true, arguments: {'x-queue-type': 'stream'}});
    const send = async (first, end) => {
        for (let n = first; n < end; n++)
            channel.sendToQueue(queue, Buffer.from(`${n}`), {persistent: true});
        await channel.waitForConfirms();
    };
    await send(0, 200);
    const from = async (offset, first, end) => {
        const got = await take(connection, queue, end - first, {'x-stream-offset': offset});
        assert.deepEqual(texts(got), [...Array(end - first).keys()].map((n) => `${n + first}`));
        assert.deepEqual(got.map((message) => message.properties.headers['x-stream-offset']), texts(got).map(Number));
    };
    await from('first', 0, 200);
    await from(150, 150, 200);
    await from('1h', 0, 200);
    await from({'!': 'timestamp', value: 1600000000}, 0, 200);
    const live = [from('first', 0, 400), from(150, 150, 400), from('next', 200, 400)];
    await sleep(100);
    await send(200, 400);
    await Promise.all(live);
    await channel.deleteQueue(queue);
}, 'createConfirmChannel'));

/* ---- what is Gannet's ---- */

test('last values: the image, then updates', ours, () => withChannel(async (channel, connection) => {
    const {queue} = await channel.assertQueue(name(), {autoDelete: true, arguments: {'x-last-value-key': 'sym', 'x-sequence': true}});
    const update = (value) => channel.sendToQueue(queue, Buffer.from(value), {headers: {sym: value[0]}});
    ['B1', 'A1', 'C1', 'A2', 'B2'].forEach(update);
    await ready(channel, queue, 3);
    const image = (await take(connection, queue, 3));
    assert.deepEqual(texts(image), ['B2', 'A2', 'C1']);
    assert.deepEqual(image.map((message) => message.properties.headers['x-sequence']), [5, 4, 3]);
}));

test('numbers and gaps', ours, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true, maxLength: 3, arguments: {'x-sequence': true}});
    for (let n = 1; n <= 10; n++)
        channel.sendToQueue(queue, Buffer.from(`${n}`));
    await ready(channel, queue, 3);
    const got = (await drain(channel, queue)).map((message) => message.properties.headers);
    assert.deepEqual(got, [{'x-sequence': 8, 'x-gap-from': 1, 'x-gap-to': 7, 'x-gap-reason': 'maxlen'}, {'x-sequence': 9}, {'x-sequence': 10}]);
}));

test('delayed messages survive kill -9', killing, async () => {
    const [exchange, queue] = [name(), name()];
    await withChannel(async (channel) => {
        await channel.assertExchange(exchange, 'x-delayed-message', {arguments: {'x-delayed-type': 'topic'}});
        await channel.assertQueue(queue);
        await channel.bindQueue(queue, exchange, 'a.*');
        for (const delay of [900, 300, 600])
            channel.publish(exchange, 'a.b', Buffer.from(`${delay}`), {persistent: true, headers: {'x-delay': delay}});
        await channel.waitForConfirms();
    }, 'createConfirmChannel');
    await broker.kill9();
    await broker.start();
    await withChannel(async (channel) => {
        await ready(channel, queue, 3);
        assert.deepEqual(texts(await drain(channel, queue)), ['300', '600', '900']);
    });
});

/* Sends numbers [first, end) of the producer; the broker is killed once so many are confirmed. Returns those that were. */
async function produceUntilKilled(queue, first, end, enough) {
    const connection = await amqp.connect(broker.url);
    const lost = closing(connection);
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    const confirmed = new Set();
    let killed;
    for (let seq = first; seq < end; seq++)
        channel.sendToQueue(queue, Buffer.from(`${seq}`), {
            persistent: true, headers: {'x-producer-id': queue, 'x-producer-seq': seq},
        }, (error) => {
            if (!error)
                confirmed.add(seq);
            if (confirmed.size >= enough)
                killed ??= broker.kill9();
        });
    await lost;
    await killed;
    await broker.start();
    return confirmed;
}

test('exactly once, though everything is sent again after kill -9', killing, async () => {
    const queue = name();
    const count = 3000;
    await withChannel((channel) => channel.assertQueue(queue));
    await produceUntilKilled(queue, 1, count + 1, 500);
    await produceUntilKilled(queue, 1, count + 1, 1500);
    await withChannel(async (channel) => {
        for (let seq = 1; seq <= count; seq++)
            channel.sendToQueue(queue, Buffer.from(`${seq}`), {
                persistent: true, headers: {'x-producer-id': queue, 'x-producer-seq': seq},
            });
        await channel.waitForConfirms();
        const got = texts(await drain(channel, queue)).map(Number);
        assert.deepEqual(got, [...Array(count).keys()].map((n) => n + 1));
    }, 'createConfirmChannel');
});

test('confirms of either level', ours, () => withChannel(async (channel, connection) => {
    const {queue} = await channel.assertQueue(name(), {autoDelete: true});
    for (const level of ['ram', 'disk'])
        channel.sendToQueue(queue, Buffer.from(level), {persistent: true, headers: {'x-confirm': level}});
    await channel.waitForConfirms();
    assert.deepEqual(texts(await drain(channel, queue)), ['ram', 'disk']);
    const other = await connection.createChannel();
    const failed = new Promise((resolve) => { other.on('error', resolve); });
    other.sendToQueue(queue, Buffer.from('x'), {headers: {'x-confirm': 'tape'}});
    assert.match((await failed).message, /406 .*PRECONDITION_FAILED - header 'x-confirm' must be 'ram' or 'disk'/);
}, 'createConfirmChannel'));

/* ---- refusals ---- */

test('arguments that a queue can not have', plain, () => withChannel(async (channel, connection) => {
    for (const [options, text] of [
        [{messageTtl: -1}, /406 .*invalid arg 'x-message-ttl' for queue '.*' in vhost '\/': {value_negative,-1}/],
        [{maxPriority: 256}, /406 .*invalid arg 'x-max-priority' for queue '.*' in vhost '\/': {max_value_exceeded,256}/],
        [{arguments: {'x-overflow': 'burst'}}, /406 .*invalid arg 'x-overflow' for queue '.*' in vhost '\/': invalid_overflow/],
        [{arguments: {'x-queue-type': 'heap'}}, /406 .*invalid arg 'x-queue-type' for queue '.*' in vhost '\/'/],
    ]) {
        const other = await connection.createChannel();
        other.on('error', () => {});
        await assert.rejects(other.assertQueue(name(), options), text);
    }
}));
