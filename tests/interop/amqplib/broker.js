/*
 * A gannetd for a test: started on a temporary directory, killed, started again on the same port. As ../../system/broker.py.
 * With PEER=rabbitmq it is the broker at PEER_HOST and PEER_PORT, which can't be killed.
 */
'use strict';

const {spawn} = require('node:child_process');
const {once} = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const PEER = process.env.PEER;
let brokers = 0;

/* A loopback address that no other test uses. */
function ownAddress() {
    const number = process.pid * 16 + brokers++ % 16;
    return `127.${1 + Math.floor(number / 62500) % 250}.${Math.floor(number / 250) % 250}.${1 + number % 250}`;
}

class Broker {
    constructor() {
        this.address = PEER ? process.env.PEER_HOST : ownAddress();
        this.port = PEER ? Number(process.env.PEER_PORT) : 0;
        this.data = fs.mkdtempSync(path.join(os.tmpdir(), 'gannet-amqplib-'));
        this.log = [];
        this.more = {};
    }

    get url() {
        return `amqp://guest:guest@${this.address}:${this.port}/`;
    }

    /* Starts it and waits until it listens. */
    async start() {
        if (PEER)
            return this;
        const settings = {
            'listeners.amqp': `${this.address}:${this.port}`,
            'listeners.mqtt': '',
            'listeners.web_mqtt': '',
            'listeners.stomp': '',
            'listeners.web_stomp': '',
            'memory.budget': '256 MiB',
            'cores.router': '0,0',
            'cores.front': '0',
            'loopback_users': '',
            ...this.more,
        };
        const words = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
        /* setpriv: should this test be killed, the broker goes with it. */
        this.process = spawn('setpriv', ['--pdeathsig', 'KILL', process.env.GANNETD, '-D', this.data, ...words],
                             {stdio: ['ignore', 'ignore', 'pipe']});
        this.ended = once(this.process, 'exit');
        await this.ready(readline.createInterface({input: this.process.stderr}));
        return this;
    }

    ready(lines) {
        return new Promise((resolve, reject) => {
            lines.on('line', (line) => {
                this.log.push(line);
                const listens = line.match(/amqp listens on \S*:(\d+)$/);
                if (listens)
                    this.port = Number(listens[1]);
                if (/ ready after \d+ ms$/.test(line))
                    resolve();
            });
            lines.on('close', () => reject(new Error(`the broker did not get ready:\n${this.log.join('\n')}`)));
        });
    }

    async end(signal) {
        this.process.kill(signal);
        return (await this.ended)[0];
    }

    async kill9() {
        await this.end('SIGKILL');
    }

    /* SIGTERM; true if it ended as it should. */
    async stop() {
        const status = PEER ? 0 : await this.end('SIGTERM');
        fs.rmSync(this.data, {recursive: true});
        if (status !== 0)
            throw new Error(`the broker ended with ${status}:\n${this.log.slice(-40).join('\n')}`);
    }
}

module.exports = {Broker, PEER};
