/*
 * One tab: asks the test what to do, does it, tells what came of it. Which client it is ("raw": the browser's own WebSocket,
 * "stomp": stompjs, "mqtt": mqtt.js) stands behind the # of its address.
 */
'use strict';

const NAME = location.hash.slice(1);
const PATIENCE_MS = 40000;
const inbox = [];  /* what has come and was not taken */
const events = []; /* what happened to the connection */
let waiting = null;

function came(message) {
    inbox.push(message);
    waiting?.();
}

/* So many of a list, in order, when they are there. */
async function taken(list, count) {
    const patience = setTimeout(() => waiting?.(true), PATIENCE_MS);
    while (list.length < count)
        if (await new Promise((resolve) => { waiting = resolve; }))
            throw new Error(`only ${list.length} of ${count} have come; what happened: ${JSON.stringify(events)}`);
    clearTimeout(patience);
    return list.splice(0, count);
}

function happened(event) {
    events.push(event);
    waiting?.();
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

function base64Of(bytes) {
    let text = '';
    for (const byte of bytes)
        text += String.fromCharCode(byte);
    return btoa(text);
}

let client;

const raw = {
    async open({url, protocols}) {
        client = new WebSocket(url, protocols ?? []);
        client.binaryType = 'arraybuffer';
        client.onmessage = ({data}) => came(typeof data === 'string' ? {text: data} : {base64: base64Of(new Uint8Array(data))});
        client.onclose = ({code, reason, wasClean}) => happened({closed: code, reason, clean: wasClean});
        await new Promise((resolve) => {
            client.addEventListener('open', resolve);
            client.addEventListener('close', resolve);
        });
        return {open: client.readyState === WebSocket.OPEN, protocol: client.protocol, extensions: client.extensions};
    },
    send: ({text, base64}) => client.send(text ?? bytesOf(base64)),
    close: ({code, reason}) => client.close(code, reason),
};

const stomp = {
    async open({url, reconnectMs}) {
        client = new StompJs.Client({
            brokerURL: url,
            connectHeaders: {login: 'guest', passcode: 'guest', host: '/'},
            reconnectDelay: reconnectMs ?? 0,
            heartbeatIncoming: 5000,
            heartbeatOutgoing: 5000,
        });
        const connected = new Promise((resolve, reject) => {
            client.onConnect = resolve;
            client.onStompError = (frame) => reject(new Error(frame.headers.message));
            client.onWebSocketClose = ({code}) => reject(new Error(`closed with ${code}`));
        });
        client.activate();
        const {headers} = await connected;
        client.onWebSocketClose = ({code, wasClean}) => happened({closed: code, clean: wasClean});
        client.onConnect = () => happened({connected: true});
        client.onStompError = (frame) => happened({error: frame.headers.message});
        return {version: headers.version, protocol: client.webSocket.protocol};
    },
    async subscribe({destination, headers}) {
        client.subscribe(destination, ({body, headers: got}) => came({body, headers: got}), headers ?? {});
        await this.receipt((receipt) => client.publish({destination: '/topic/nobody', body: '', headers: {receipt}}));
    },
    async publish({destination, body, headers}) {
        await this.receipt((receipt) => client.publish({destination, body, headers: {...headers, receipt}}));
    },
    publishMany({destination, count}) {
        for (let n = 0; n < count; n++)
            client.publish({destination, body: `${n}`});
    },
    receipt(send) {
        const name = `r${Math.random()}`;
        const answered = new Promise((resolve) => client.watchForReceipt(name, resolve));
        send(name);
        return answered;
    },
    close: () => client.deactivate(),
};

const mqttjs = {
    async open({url, reconnectMs, version}) {
        client = mqtt.connect(url, {
            username: 'guest', password: 'guest', protocolVersion: version ?? 5, reconnectPeriod: reconnectMs ?? 0, keepalive: 5,
        });
        client.on('message', (topic, payload, {qos, retain, properties}) => {
            came({topic, body: new TextDecoder().decode(payload), qos, retain, user: properties?.userProperties});
        });
        client.on('close', () => happened({closed: true}));
        const packet = await new Promise((resolve, reject) => {
            client.once('connect', resolve);
            client.once('error', reject);
            client.once('close', () => reject(new Error('closed')));
        });
        client.on('connect', () => happened({connected: true}));
        client.on('error', ({message}) => happened({error: message}));
        return {reason: packet.reasonCode ?? packet.returnCode};
    },
    subscribe: async ({topic, qos}) => (await client.subscribeAsync(topic, {qos: qos ?? 1})).map((granted) => granted.qos),
    publish: ({topic, body, qos, retain, user}) => client.publishAsync(topic, body, {
        qos: qos ?? 1, retain, ...(user ? {properties: {userProperties: user}} : {}),
    }).then(() => true),
    async publishMany({topic, count, qos}) {
        await Promise.all([...Array(count).keys()].map((n) => client.publishAsync(topic, `${n}`, {qos})));
    },
    close: () => client.endAsync(),
};

const common = {
    take: ({count}) => taken(inbox, count),
    happened: ({count}) => taken(events, count),
    forget: () => { inbox.length = events.length = 0; },
};

async function obey({what, ...words}) {
    const own = {raw, stomp, mqtt: mqttjs}[NAME.split('-')[0]];
    const deed = common[what] ?? own[what].bind(own);
    try {
        return {result: await deed(words) ?? null};
    } catch (error) {
        return {error: String(error)};
    }
}

(async () => {
    for (;;) {
        const command = await (await fetch(`/command/${NAME}`)).json();
        if (!command)
            continue; /* nothing to do yet */
        if (command.what === 'end')
            break;
        await fetch(`/answer/${NAME}`, {method: 'POST', body: JSON.stringify(await obey(command))});
    }
})();
