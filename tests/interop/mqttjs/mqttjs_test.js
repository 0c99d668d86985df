/* npm's mqtt.js, of MQTT 3.1.1 and 5.0, plain and over WebSocket; and amqplib on the other side. */
'use strict';

const assert = require('node:assert/strict');
const {once} = require('node:events');
const {after, before, test} = require('node:test');

const amqp = require('amqplib');
const mqtt = require('mqtt');
const {Site} = require('./site');

const plain = {timeout: 60000};
const KEPT = {sessionExpiryInterval: 100};
let site;
let names = 0;

before(async () => {
    site = await new Site().start();
});

after(() => site.stop());

const unique = () => `js${process.pid}-${names++}`;

/* Connected; messages wait in .inbox, or whoever waits for one gets it. */
async function connect(options = {}, url = site.mqttUrl) {
    const client = mqtt.connect(url, {clientId: unique(), protocolVersion: 5, reconnectPeriod: 0, ...options});
    client.inbox = [];
    client.waiting = [];
    client.on('error', () => {});
    client.on('message', (topic, payload, packet) => {
        const message = {topic, payload: payload.toString(), packet, properties: packet.properties};
        const waits = client.waiting.shift();
        if (waits)
            waits(message);
        else
            client.inbox.push(message);
    });
    client.connack = await new Promise((resolve, reject) => {
        client.once('connect', resolve);
        client.once('error', reject);
    });
    return client;
}

const next = (client) => client.inbox.length ? Promise.resolve(client.inbox.shift()) : new Promise((resolve) => client.waiting.push(resolve));

async function silent(client) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(client.inbox, []);
}

/* As it was sent: topic, payload and QoS. */
async function expect(client, topic, payload, qos) {
    const message = await next(client);
    assert.deepEqual([message.topic, message.payload, message.packet.qos], [topic, payload, qos]);
    return message;
}

async function roundTrip(options, url) {
    for (const protocolVersion of [4, 5])
        for (const qos of [0, 1, 2]) {
            const client = await connect({protocolVersion, ...options}, url);
            const topic = unique();
            const [granted] = await client.subscribeAsync(`${topic}/#`, {qos});
            assert.equal(granted.qos, qos);
            await client.publishAsync(`${topic}/a`, 'hello', {qos});
            await expect(client, `${topic}/a`, 'hello', qos);
            await client.publishAsync(`${topic}/a`, 'x'.repeat(300000), {qos});
            await expect(client, `${topic}/a`, 'x'.repeat(300000), qos);
            await client.endAsync();
        }
}

test('each version and QoS', plain, () => roundTrip({}));

test('over WebSocket', plain, () => roundTrip({}, site.webUrl));

test('all properties', plain, async () => {
    const client = await connect();
    const topic = unique();
    await client.subscribeAsync(topic, {qos: 1, properties: {subscriptionIdentifier: 9}});
    await client.publishAsync(topic, 'text', {qos: 1, properties: {
        payloadFormatIndicator: true, messageExpiryInterval: 100, contentType: 'text/plain', responseTopic: 'a/b',
        correlationData: Buffer.from([0, 255]), userProperties: {b: ['1', '3'], a: '2'}}});
    const {properties} = await expect(client, topic, 'text', 1);
    assert.ok([99, 100].includes(properties.messageExpiryInterval));
    assert.deepEqual([properties.payloadFormatIndicator, properties.contentType, properties.responseTopic, [...properties.correlationData],
                      {...properties.userProperties}, properties.subscriptionIdentifier],
                     [true, 'text/plain', 'a/b', [0, 255], {b: ['1', '3'], a: '2'}, 9]);
    await client.endAsync();
});

test('topic aliases both ways', plain, async () => {
    const client = await connect({properties: {topicAliasMaximum: 10}, autoUseTopicAlias: true, autoAssignTopicAlias: true});
    const topic = unique();
    await client.subscribeAsync(topic, {qos: 1});
    for (let i = 0; i < 5; i++) {
        await client.publishAsync(topic, `${i}`, {qos: 1});
        await expect(client, topic, `${i}`, 1);
    }
    await client.endAsync();
});

test('retained messages', plain, async () => {
    const client = await connect();
    const topic = unique();
    await client.publishAsync(topic, 'kept', {qos: 1, retain: true});
    await client.subscribeAsync(topic, {qos: 1});
    assert.ok((await expect(client, topic, 'kept', 1)).packet.retain);
    await client.subscribeAsync(topic, {qos: 1, rh: 2});
    await client.subscribeAsync(topic, {qos: 1, rh: 1});
    await silent(client);
    await client.publishAsync(topic, '', {qos: 1, retain: true});
    await client.endAsync();
});

test('no local, retain as published', plain, async () => {
    const client = await connect();
    const other = await connect();
    const topic = unique();
    await client.subscribeAsync(topic, {qos: 1, nl: true, rap: true});
    await client.publishAsync(topic, 'mine', {qos: 1});
    await other.publishAsync(topic, 'yours', {qos: 1, retain: true});
    assert.ok((await expect(client, topic, 'yours', 1)).packet.retain);
    await other.publishAsync(topic, '', {qos: 1, retain: true});
    await Promise.all([client.endAsync(), other.endAsync()]);
});

test('a session is kept', plain, async () => {
    const clientId = unique();
    for (const options of [{protocolVersion: 4}, {properties: KEPT}]) {
        const topic = unique();
        const away = await connect({clientId, clean: false, ...options});
        await away.subscribeAsync(topic, {qos: 2});
        await away.endAsync();
        const out = await connect();
        await out.publishAsync(topic, '1', {qos: 1});
        await out.publishAsync(topic, '2', {qos: 2});
        await out.endAsync();
        const back = await connect({clientId, clean: false, ...options});
        assert.ok(back.connack.sessionPresent);
        await expect(back, topic, '1', 1);
        await expect(back, topic, '2', 2);
        await back.endAsync();
    }
});

test('a session is taken over', plain, async () => {
    const clientId = unique();
    const first = await connect({clientId});
    const told = once(first, 'disconnect');
    const second = await connect({clientId});
    assert.equal((await told)[0].reasonCode, 0x8e);
    await second.endAsync();
});

test('a will', plain, async () => {
    const watch = await connect();
    const topic = unique();
    await watch.subscribeAsync(topic, {qos: 1});
    const dies = await connect({will: {topic, payload: 'gone', qos: 1, properties: {willDelayInterval: 0, contentType: 't'}}});
    dies.stream.destroy();
    assert.equal((await expect(watch, topic, 'gone', 1)).properties.contentType, 't');
    await watch.endAsync();
});

test('a refusal says why', plain, async () => {
    await assert.rejects(connect({username: 'guest', password: 'wrong'}), {code: 0x86});
    await assert.rejects(connect({username: 'guest', password: 'wrong', protocolVersion: 4}), {code: 4});
});

test('sessions survive kill -9', plain, async () => {
    const clientId = unique();
    const topic = unique();
    const away = await connect({clientId, clean: false, properties: KEPT});
    await away.subscribeAsync(topic, {qos: 2});
    await away.endAsync();
    const out = await connect();
    for (let i = 0; i < 100; i++)
        await out.publishAsync(topic, `${i}`, {qos: 2});
    await site.kill9();
    await site.start();
    const back = await connect({clientId, clean: false, properties: KEPT});
    for (let i = 0; i < 100; i++)
        await expect(back, topic, `${i}`, 2);
    await back.endAsync();
});

test('with amqplib, both ways', plain, async () => {
    const connection = await amqp.connect(site.url);
    const channel = await connection.createChannel();
    const topic = unique();
    const {queue} = await channel.assertQueue('', {exclusive: true});
    await channel.bindQueue(queue, 'amq.topic', `${topic}.#`);
    const client = await connect();
    await client.subscribeAsync(`${topic}/back`, {qos: 1});
    const came = new Promise((resolve) => channel.consume(queue, resolve, {noAck: true}));
    await client.publishAsync(`${topic}/there`, 'hello', {qos: 1, properties: {
        contentType: 'text/plain', correlationData: Buffer.from('7'), responseTopic: `${topic}/back`, userProperties: {k: 'v'}}});
    const {fields, properties, content} = await came;
    assert.deepEqual([fields.routingKey, content.toString(), properties.contentType, properties.correlationId, properties.deliveryMode,
                      properties.headers.k, properties.headers['x-reply-to-topic']],
                     [`${topic}.there`, 'hello', 'text/plain', '7', 2, 'v', `${topic}.back`]);
    channel.publish('amq.topic', properties.headers['x-reply-to-topic'], Buffer.from('answer'),
                    {correlationId: properties.correlationId, contentType: 'x', headers: {h: 'w'}, persistent: true});
    const answer = await expect(client, `${topic}/back`, 'answer', 1);
    assert.deepEqual([answer.properties.contentType, answer.properties.correlationData.toString(), {...answer.properties.userProperties}],
                     ['x', '7', {h: 'w'}]);
    await client.endAsync();
    await connection.close();
});
