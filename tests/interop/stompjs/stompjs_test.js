/* npm's stompjs, of every version, over WebSocket and TCP; and amqplib on the other side. */
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const {after, before, test} = require('node:test');

const {Client, Versions} = require('@stomp/stompjs');
const amqp = require('amqplib');
const WebSocket = require('ws');
const {Site} = require('../mqttjs/site');

const plain = {timeout: 60000};
let site;
let names = 0;

before(async () => {
    site = await new Site().start();
});

after(() => site.stop());

const unique = () => `stompjs-${process.pid}-${names++}`;

/* What stompjs wants of a WebSocket, over TCP. */
class Tcp {
    constructor(host, port) {
        this.binaryType = 'arraybuffer';
        this.readyState = 0;
        this.socket = net.createConnection({host, port});
        this.socket.on('connect', () => {
            this.readyState = 1;
            this.onopen();
        });
        this.socket.on('data', (data) => this.onmessage({data: new Uint8Array(data).buffer}));
        this.socket.on('error', (error) => this.onerror(error));
        this.socket.on('close', () => {
            this.readyState = 3;
            this.onclose({code: 1000, reason: '', wasClean: true});
        });
    }

    send(data) {
        this.socket.write(data);
    }

    close() {
        this.readyState = 2;
        this.socket.end();
    }
}

const transports = {
    web: () => new WebSocket(site.webStompUrl, ['v12.stomp', 'v11.stomp', 'v10.stomp']),
    tcp: () => new Tcp(site.address, site.portOf('stomp')),
};

/* Not yet connected; .said resolves with CONNECTED or ERROR. */
function make(options = {}, transport = 'web') {
    const client = new Client({
        webSocketFactory: transports[transport],
        connectHeaders: {login: 'guest', passcode: 'guest', host: '/'},
        reconnectDelay: 0,
        heartbeatIncoming: 0,
        heartbeatOutgoing: 0,
        forceBinaryWSFrames: transport === 'web',
        ...options,
    });
    client.said = new Promise((resolve) => {
        client.onConnect = resolve;
        client.onStompError = resolve;
    });
    client.activate();
    return client;
}

async function connect(options, transport) {
    const client = make(options, transport);
    client.connected_frame = await client.said;
    assert.equal(client.connected_frame.command, 'CONNECTED', client.connected_frame.headers.message);
    return client;
}

/* Messages of a subscription, in order: await of next() is the next. */
function subscribe(client, destination, headers = {}) {
    const inbox = [], waiting = [];
    const subscription = client.subscribe(destination, (message) => {
        const waits = waiting.shift();
        if (waits)
            waits(message);
        else
            inbox.push(message);
    }, headers);
    return {
        inbox,
        unsubscribe: (more) => subscription.unsubscribe(more),
        next: () => inbox.length ? Promise.resolve(inbox.shift()) : new Promise((resolve) => waiting.push(resolve)),
    };
}

const silence = (ms = 300) => new Promise((resolve) => setTimeout(resolve, ms));

/* Sent, and safe. */
function safely(client, call, frame) {
    const receipt = unique();
    const done = new Promise((resolve) => client.watchForReceipt(receipt, resolve));
    if (call === 'publish')
        client.publish({...frame, headers: {...frame.headers, receipt}});
    return done;
}

const versions = [Versions.V1_0, Versions.V1_1, Versions.V1_2];

for (const transport of Object.keys(transports)) {
    for (const version of versions) {
        test(`sends and receives ${version} over ${transport}`, plain, async () => {
            const client = await connect({stompVersions: new Versions([version])}, transport);
            assert.equal(client.connectedVersion, version);
            const destination = `/queue/${unique()}`;
            const got = subscribe(client, destination);
            client.publish({destination, body: 'hello žluť', headers: {mine: 'yours'}});
            const message = await got.next();
            assert.deepEqual([message.body, message.headers.mine, message.headers.destination], ['hello žluť', 'yours', destination]);
            await client.deactivate();
        });
    }
}

test('headers of any characters', plain, async () => {
    const client = await connect();
    const destination = `/topic/${unique()}`;
    const got = subscribe(client, destination, {id: 'a:b\n\\'});
    const headers = {colon: 'c:d', lines: '1\r\n2', slash: 'a\\b', script: 'žluť 你好'};
    client.publish({destination, body: 'x', headers});
    const message = await got.next();
    for (const [name, value] of Object.entries(headers))
        assert.equal(message.headers[name], value);
    assert.equal(message.headers.subscription, 'a:b\n\\');
    await client.deactivate();
});

test('bodies of bytes, small and large', plain, async () => {
    const client = await connect();
    const destination = `/topic/${unique()}`;
    const got = subscribe(client, destination);
    for (const size of [0, 1, 256, 65536, 65537, 1000000]) {
        const binaryBody = Uint8Array.from({length: size}, (_, i) => i * 7 % 256);
        client.publish({destination, binaryBody, headers: {'content-type': 'application/octet-stream'}});
        const message = await got.next();
        assert.equal(Buffer.compare(Buffer.from(message.binaryBody), Buffer.from(binaryBody)), 0);
        assert.equal(message.headers['content-type'], 'application/octet-stream');
    }
    await client.deactivate();
});

test('refusals', plain, async () => {
    for (const [connectHeaders, words] of [
             [{login: 'guest', passcode: 'wrong', host: '/'}, 'Access refused'],
             [{login: 'guest', passcode: 'guest', host: 'nowhere'}, 'no virtual host']]) {
        const client = make({connectHeaders});
        const frame = await client.said;
        assert.equal(frame.command, 'ERROR');
        assert.match(frame.headers.message, new RegExp(words));
        await client.deactivate();
    }
});

test('receipts', plain, async () => {
    const client = await connect();
    const destination = `/queue/${unique()}`;
    await Promise.all(Array.from({length: 200}, (_, i) => safely(client, 'publish', {destination, body: `${i}`, headers: {persistent: 'true'}})));
    const got = subscribe(client, destination);
    for (let i = 0; i < 200; i++)
        assert.equal((await got.next()).body, `${i}`);
    await client.deactivate();
});

for (const version of versions) {
    test(`acknowledgements of ${version}`, plain, async () => {
        const destination = `/queue/${unique()}`, stompVersions = new Versions([version]);
        let client = await connect({stompVersions});
        for (let i = 0; i < 4; i++)
            await safely(client, 'publish', {destination, body: `${i}`});
        let got = subscribe(client, destination, {ack: 'client'});
        await got.next();
        (await got.next()).ack();
        await got.next();
        await client.deactivate();
        client = await connect({stompVersions});
        got = subscribe(client, destination, {ack: 'client-individual', 'prefetch-count': '1'});
        let message = await got.next();
        assert.deepEqual([message.body, message.headers.redelivered], ['2', 'true']);
        if (version !== Versions.V1_0) {
            message.nack();
            message = await got.next();
            assert.equal(message.body, '2');
        }
        message.ack();
        message = await got.next();
        assert.equal(message.body, '3');
        message.ack();
        await silence();
        assert.equal(got.inbox.length, 0);
        await client.deactivate();
    });
}

test('transactions', plain, async () => {
    const client = await connect();
    const destination = `/queue/${unique()}`;
    const got = subscribe(client, destination);
    for (const ending of ['abort', 'commit']) {
        const tx = client.begin();
        for (let i = 0; i < 3; i++)
            client.publish({destination, body: `${ending} ${i}`, headers: {transaction: tx.id}});
        await silence(100);
        assert.equal(got.inbox.length, 0);
        tx[ending]();
    }
    for (let i = 0; i < 3; i++)
        assert.equal((await got.next()).body, `commit ${i}`);
    await client.deactivate();
});

test('heart-beats keep a connection', plain, async () => {
    const client = await connect({heartbeatIncoming: 300, heartbeatOutgoing: 300});
    assert.equal(client.connected_frame.headers['heart-beat'], '300,300');
    await silence(1500);
    await safely(client, 'publish', {destination: `/queue/${unique()}`, body: 'still here'});
    await client.deactivate();
});

test('a request and its reply', plain, async () => {
    const server = await connect(), client = await connect();
    const destination = `/queue/${unique()}`;
    const questions = subscribe(server, destination);
    const replies = new Promise((resolve) => client.onUnhandledMessage = resolve);
    client.publish({destination, body: 'question', headers: {'reply-to': '/temp-queue/mine', 'correlation-id': '7'}});
    const question = await questions.next();
    server.publish({destination: question.headers['reply-to'], body: 'answer', headers: {'correlation-id': question.headers['correlation-id']}});
    const reply = await replies;
    assert.deepEqual([reply.body, reply.headers['correlation-id'], reply.headers.subscription], ['answer', '7', '/temp-queue/mine']);
    await server.deactivate();
    await client.deactivate();
});

test('to and from AMQP', plain, async () => {
    const connection = await amqp.connect(site.url), channel = await connection.createChannel();
    const client = await connect(), name = unique();
    await channel.assertQueue(name);
    await safely(client, 'publish', {
        destination: `/queue/${name}`,
        body: 'from stompjs',
        headers: {persistent: 'true', priority: '3', 'correlation-id': 'c', 'content-type': 'text/plain', expiration: '60000', mine: 'value'},
    });
    const message = await channel.get(name, {noAck: true});
    const {deliveryMode, priority, correlationId, contentType, expiration, headers} = message.properties;
    assert.deepEqual([message.content.toString(), deliveryMode, priority, correlationId, contentType, expiration, {...headers}],
                     ['from stompjs', 2, 3, 'c', 'text/plain', '60000', {mine: 'value'}]);
    const got = subscribe(client, `/queue/${name}`);
    channel.sendToQueue(name, Buffer.from('from amqplib'), {persistent: true, type: 't', headers: {text: 'value', number: 5, flag: true}});
    const back = await got.next();
    assert.equal(back.body, 'from amqplib');
    for (const [header, value] of Object.entries({persistent: 'true', type: 't', text: 'value', number: '5', flag: 'true'}))
        assert.equal(back.headers[header], value);
    await client.deactivate();
    await connection.close();
});

/* Last: it ends the broker in the midst of all. */
test('it comes back over kill -9, and nothing that had its receipt is lost', plain, async () => {
    const destination = `/queue/${unique()}`;
    const client = make({reconnectDelay: 100});
    let connections = 0;
    client.onConnect = () => connections++;
    while (!connections)
        await silence(10);
    await Promise.all(Array.from({length: 50}, (_, i) => safely(client, 'publish', {destination, body: `${i}`, headers: {persistent: 'true'}})));
    await site.kill9();
    await site.start();
    while (connections < 2)
        await silence(10);
    const got = subscribe(client, destination);
    for (let i = 0; i < 50; i++)
        assert.equal((await got.next()).body, `${i}`);
    await client.deactivate();
});
