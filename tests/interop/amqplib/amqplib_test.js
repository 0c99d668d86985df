/* What npm's amqplib relies on: confirms that hold over kill -9, prefetch, acknowledgements, exchanges, headers of every type. */
'use strict';

const assert = require('node:assert/strict');
const {once} = require('node:events');
const {after, before, test} = require('node:test');

const amqp = require('amqplib');
const {Broker, PEER} = require('./broker');
const {closing, consume, drain, name, texts, withChannelOf} = require('./client');

const PERSISTENT = {persistent: true};
const killing = {skip: PEER ? 'kills the broker' : false, timeout: 240000};
const plain = {timeout: 120000};
let broker;

before(async () => {
    broker = await new Broker().start();
});

after(() => broker.stop());

const withChannel = (work, kind) => withChannelOf(broker, work, kind);

/* ---- kill -9 ---- */

/* Publishes numbers from `first` on, up to 500 unconfirmed, until the connection is lost. Kills the broker when so many are confirmed. */
async function publishUntilKilled(queue, first, enough) {
    const connection = await amqp.connect(broker.url);
    const channel = await connection.createConfirmChannel();
    const lost = closing(connection);
    channel.on('error', () => {});
    await channel.assertQueue(queue, {durable: true});
    const confirmed = new Set();
    let next = first;
    let waiting = 0;
    let open = true;
    let killed;
    const fill = () => {
        while (open && waiting < 500) {
            const number = next++;
            waiting++;
            channel.sendToQueue(queue, Buffer.from(`${number}`.padEnd(number % 700)), PERSISTENT, (error) => {
                waiting--;
                if (!error)
                    confirmed.add(number);
                if (confirmed.size >= enough)
                    killed ??= broker.kill9();
                if (error)
                    open = false;
                else
                    setImmediate(fill);
            });
        }
    };
    connection.on('close', () => { open = false; });
    fill();
    await lost;
    await killed;
    return {confirmed, next};
}

test('what is confirmed survives kill -9', killing, async () => {
    const queue = name();
    const confirmed = new Set();
    let next = 0;
    for (const enough of [1500, 4000, 700]) {
        const round = await publishUntilKilled(queue, next, enough);
        assert.ok(round.confirmed.size >= enough);
        round.confirmed.forEach((number) => confirmed.add(number));
        next = round.next;
        await broker.start();
    }
    await withChannel(async (channel) => {
        const got = [];
        const {messageCount} = await channel.checkQueue(queue);
        await channel.prefetch(300);
        await consume(channel, queue, messageCount, (message) => {
            got.push(Number(message.content.toString()));
            channel.ack(message);
        });
        const seen = new Set(got);
        assert.deepEqual([...confirmed].filter((number) => !seen.has(number)), []);
        assert.equal(seen.size, got.length, 'something came twice');
        assert.deepEqual(got, [...got].sort((a, b) => a - b));
        assert.ok(got.every((number) => number < next));
    });
});

test('what was not acknowledged comes again after kill -9', killing, async () => {
    const queue = name();
    const connection = await amqp.connect(broker.url);
    const lost = closing(connection);
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    await channel.assertQueue(queue);
    for (let n = 0; n < 100; n++)
        channel.sendToQueue(queue, Buffer.from(`${n}`), PERSISTENT);
    await channel.waitForConfirms();
    const taken = [];
    await consume(channel, queue, 100, (message) => taken.push(message));
    channel.ack(taken[39], true);
    /* When this is confirmed, the acknowledgements before it are on the disk. */
    channel.sendToQueue(queue, Buffer.from('last'), PERSISTENT);
    await channel.waitForConfirms();
    await broker.kill9();
    await lost;
    await broker.start();
    await withChannel(async (again) => {
        assert.deepEqual(texts(await drain(again, queue)), [...Array(60).keys()].map((n) => `${n + 40}`).concat('last'));
    });
});

const HEADERS = {
    string: 'größer ✓',
    empty: '',
    true: true,
    false: false,
    byte: -100,
    short: -30000,
    int: -2000000000,
    long: -(2 ** 52),
    unsignedByte: {'!': 'uint8', value: 200},
    unsignedShort: {'!': 'uint16', value: 60000},
    unsignedInt: {'!': 'uint32', value: 4000000000},
    double: 1.1,
    float: {'!': 'float', value: 1.5},
    decimal: {'!': 'decimal', value: {places: 2, digits: 314}},
    timestamp: {'!': 'timestamp', value: 1234567890},
    nothing: null,
    bytes: Buffer.from([0, 1, 255]),
    table: {a: 1, b: {c: ['d', {e: null}]}},
    array: [1, 'two', 3.5, true, null, [], {}, [[['deep']]], {'!': 'timestamp', value: 5}],
    CC: [],
};

/* As they come back: the client takes the types it was told for numbers apart from the exotic ones. */
function plainHeaders() {
    const bare = ['unsignedByte', 'unsignedShort', 'unsignedInt', 'float'];
    return Object.fromEntries(Object.entries(HEADERS).map(([key, value]) => [key, bare.includes(key) ? value.value : value]));
}

test('headers of every type, properties and bodies go round', killing, async () => {
    const queue = name();
    const properties = {
        headers: HEADERS, contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 5,
        correlationId: 'c', replyTo: 'r', expiration: '600000', messageId: 'm', timestamp: 1234567890, type: 't',
        userId: 'guest', appId: 'a',
    };
    const bodies = [0, 1, 5000, 131064, 131065, 5000000].map((size) => Buffer.alloc(size, 'abcdefg'));
    await withChannel(async (channel) => {
        await channel.assertQueue(queue);
        bodies.forEach((body) => channel.sendToQueue(queue, body, properties));
        await channel.waitForConfirms();
    }, 'createConfirmChannel');
    await broker.kill9();
    await broker.start();
    await withChannel(async (channel) => {
        const got = await drain(channel, queue);
        assert.equal(got.length, bodies.length);
        got.forEach((message, i) => {
            assert.ok(message.content.equals(bodies[i]));
            for (const [key, value] of Object.entries(properties))
                assert.deepEqual(message.properties[key], key === 'headers' ? plainHeaders() : value, key);
        });
    });
});

/* ---- consuming ---- */

test('prefetch holds, and acknowledgements make room', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true});
    for (let n = 0; n < 500; n++)
        channel.sendToQueue(queue, Buffer.from(`${n}`));
    await channel.prefetch(10);
    const held = [];
    const got = [];
    let most = 0;
    await consume(channel, queue, 500, (message) => {
        held.push(message);
        got.push(Number(message.content.toString()));
        most = Math.max(most, held.length);
        /* By the time that a question is answered, an eleventh would have come. */
        if (held.length === 10)
            channel.checkQueue(queue).then(() => channel.ack(held.splice(0).pop(), true));
    });
    assert.equal(most, 10);
    assert.deepEqual(got, [...Array(500).keys()]);
    await channel.checkQueue(queue);
    assert.deepEqual([held.length, (await channel.checkQueue(queue)).messageCount], [0, 0]);
}));

test('nack and reject', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true});
    for (const text of ['a', 'b', 'c', 'd', 'e'])
        channel.sendToQueue(queue, Buffer.from(text));
    const take = async () => {
        const message = await channel.get(queue);
        return message;
    };
    const first = await take();
    assert.equal(first.fields.redelivered, false);
    channel.nack(first);
    const again = await take();
    assert.deepEqual([again.content.toString(), again.fields.redelivered], ['a', true]);
    channel.nack(again, false, false); // gone
    const [b, c] = [await take(), await take()];
    channel.reject(c, true);
    channel.reject(b, false);
    await take();
    await take();
    channel.nackAll(true);
    const rest = await drain(channel, queue);
    assert.deepEqual(rest.map((message) => [message.content.toString(), message.fields.redelivered]),
                     [['c', true], ['d', true], ['e', false]]);
}));

test('recover gives everything back', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true});
    for (const text of ['a', 'b', 'c'])
        channel.sendToQueue(queue, Buffer.from(text));
    await channel.get(queue);
    await channel.get(queue);
    await channel.recover();
    assert.deepEqual(texts(await drain(channel, queue)), ['a', 'b', 'c']);
}));

test('a consumer is told when its queue goes', plain, () => withChannel(async (channel) => {
    const {queue} = await channel.assertQueue('', {exclusive: true});
    const told = new Promise((resolve) => { channel.consume(queue, resolve).then(() => channel.deleteQueue(queue)); });
    assert.equal(await told, null);
}));

/* ---- exchanges ---- */

test('exchanges of each type', plain, () => withChannel(async (channel) => {
    const bindings = {
        direct: [['a', {}], ['b', {}]],
        fanout: [['', {}], ['b', {}]],
        topic: [['a.*.c', {}], ['#.c', {}]],
        headers: [['', {'x-match': 'all', k: 1, l: 'x'}], ['', {'x-match': 'any', k: 1, l: 'y'}]],
    };
    const publishes = {
        direct: [['a', {}, [0]], ['b', {}, [1]], ['c', {}, []]],
        fanout: [['whatever', {}, [0, 1]]],
        topic: [['a.b.c', {}, [0, 1]], ['c', {}, [1]], ['a.b', {}, []]],
        headers: [['', {k: 1, l: 'x'}, [0, 1]], ['', {k: 2, l: 'x'}, []], ['', {l: 'y'}, [1]]],
    };
    for (const [type, keys] of Object.entries(bindings)) {
        const {exchange} = await channel.assertExchange(name(), type, {durable: false, autoDelete: true});
        const queues = [];
        for (const [key, args] of keys) {
            const {queue} = await channel.assertQueue('', {exclusive: true});
            await channel.bindQueue(queue, exchange, key, args);
            queues.push(queue);
        }
        for (const [key, headers, wanted] of publishes[type]) {
            channel.publish(exchange, key, Buffer.from('x'), {headers});
            const counts = await Promise.all(queues.map(async (queue) => (await drain(channel, queue)).length));
            assert.deepEqual(counts, queues.map((_, i) => (wanted.includes(i) ? 1 : 0)), `${type} ${key}`);
        }
    }
}));

test('exchanges bound to exchanges, alternates, and CC', plain, () => withChannel(async (channel) => {
    const last = (await channel.assertExchange(name(), 'fanout', {autoDelete: true})).exchange;
    const first = (await channel.assertExchange(name(), 'direct', {autoDelete: true, alternateExchange: last})).exchange;
    const middle = (await channel.assertExchange(name(), 'topic', {autoDelete: true})).exchange;
    const [fallen, passed] = [(await channel.assertQueue('', {exclusive: true})).queue,
                              (await channel.assertQueue('', {exclusive: true})).queue];
    await channel.bindQueue(fallen, last, '');
    await channel.bindExchange(middle, first, 'go.on');
    await channel.bindQueue(passed, middle, 'go.*');
    channel.publish(first, 'go.on', Buffer.from('1'));
    channel.publish(first, 'elsewhere', Buffer.from('2'));
    channel.publish(first, 'elsewhere', Buffer.from('3'), {CC: 'go.on'});
    channel.publish(first, 'elsewhere', Buffer.from('4'), {BCC: ['go.on', 'nowhere']});
    assert.deepEqual(texts(await drain(channel, fallen)), ['2']);
    const got = await drain(channel, passed);
    assert.deepEqual(texts(got), ['1', '3', '4']);
    assert.deepEqual(got.map((message) => message.properties.headers), [{}, {CC: ['go.on']}, {}]);
    await channel.unbindExchange(middle, first, 'go.on');
}));

test('what is mandatory and goes nowhere comes back', plain, () => withChannel(async (channel) => {
    const returned = once(channel, 'return');
    channel.publish('', name(), Buffer.from('back'), {mandatory: true, messageId: '7'});
    await channel.waitForConfirms();
    const [message] = await returned;
    assert.deepEqual([message.content.toString(), message.fields.replyCode, message.properties.messageId], ['back', 312, '7']);
}, 'createConfirmChannel'));

/* ---- refusals ---- */

test('a refusal closes its channel alone', plain, () => withChannel(async (channel, connection) => {
    const other = await connection.createChannel();
    const closed = once(other, 'error');
    await assert.rejects(other.checkQueue('amqplib-none'), /404/);
    assert.equal((await closed)[0].code, 404);
    const {queue} = await channel.assertQueue('', {exclusive: true});
    channel.sendToQueue(queue, Buffer.from('x'));
    assert.deepEqual(texts(await drain(channel, queue)), ['x']);
}));

test('a wrong password', plain, async () => {
    await assert.rejects(amqp.connect(broker.url.replace('guest:guest', 'guest:wrong')), /403|ACCESS[-_]REFUSED/);
});
