// The list of queues, and that of streams; declaring one.
import {el} from './dom.js';
import {path, put} from './api.js';
import {ask} from './dialog.js';
import {bytes, count, rate} from './format.js';
import * as lists from './list.js';
import {Rates} from './rates.js';
import {button, head, href, link, tags} from './parts.js';

const COLUMNS = 'name,vhost,type,durable,auto_delete,exclusive,arguments,policy,state,messages,messages_ready,messages_unacknowledged,message_bytes,consumers,message_stats';

const rates = new Rates();

export const key = row => JSON.stringify([row.vhost, row.name]);

export function traits(queue) {
    return [queue.durable && 'durable', queue.auto_delete && 'auto-delete', queue.exclusive && 'exclusive'].filter(Boolean);
}

function columns(speeds, severalVhosts, streams) {
    const of = (row, name) => rate(speeds.get(key(row))?.[name]);
    return [
        {title: 'Name', sort: 'name', main: true, cell: row => link(row.name, 'queues', row.vhost, row.name)},
        severalVhosts && {title: 'Virtual host', sort: 'vhost', wide: true, cell: row => row.vhost},
        !streams && {title: 'Type', sort: 'type', wide: true, cell: row => row.type},
        {title: 'Traits', wide: true, cell: row => el('span', {class: 'tags'}, tags(traits(row)), row.policy ? el('span', {class: 'tag policy'}, row.policy) : null)},
        {title: streams ? 'Messages' : 'Ready', sort: 'messages_ready', number: true, cell: row => count(row.messages_ready)},
        !streams && {title: 'Unacked', sort: 'messages_unacknowledged', number: true, cell: row => count(row.messages_unacknowledged)},
        {title: 'Bytes', sort: 'message_bytes', number: true, wide: true, cell: row => bytes(row.message_bytes)},
        {title: 'Consumers', sort: 'consumers', number: true, wide: true, cell: row => count(row.consumers)},
        {title: 'In', number: true, wide: true, sort: 'message_stats.publish', cell: row => of(row, 'publish')},
        {title: 'Out', number: true, wide: true, sort: 'message_stats.deliver_get', cell: row => of(row, 'deliver_get')},
    ].filter(Boolean);
}

function declare(app, streams, vhost) {
    const types = streams ? ['stream'] : ['classic', 'quorum', 'stream'];
    ask({
        title: streams ? 'Declare a stream' : 'Declare a queue', button: 'Declare', fields: [
            {name: 'name', label: 'Name', required: true},
            {name: 'vhost', label: 'Virtual host', type: 'select', options: app.vhosts, value: vhost},
            {name: 'type', label: 'Type', type: 'select', options: types, value: types[0]},
            {name: 'durable', label: 'Durable: it is there after a restart', type: 'checkbox', value: true},
            {name: 'auto_delete', label: 'Auto-delete: gone with its last consumer', type: 'checkbox'},
            {name: 'arguments', label: 'Arguments', type: 'json', hint: streams ? 'JSON, such as {"x-max-age": "7D", "x-max-length-bytes": 1000000000}'
                : 'JSON, such as {"x-max-length": 1000, "x-message-ttl": 60000, "x-dead-letter-exchange": "dead"}'},
        ],
        act: async ({vhost: where, name, type, durable, auto_delete, arguments: given}) => {
            const all = type === 'classic' ? given : {'x-queue-type': type, ...given};
            await put(path('queues', where, name), {durable, auto_delete, arguments: all});
            location.hash = href('queues', where, name);
            return `${streams ? 'Stream' : 'Queue'} ${name} is declared.`;
        },
    });
}

function make(base, streams) {
    const what = streams ? 'streams' : 'queues';
    const list = query => ({at: query.vhost ? path('queues', query.vhost) : path('queues'), columns: COLUMNS, sort: 'name', query: streams ? {type: 'stream'} : {}});
    return {
        title: () => streams ? 'Streams' : 'Queues',
        load: async (args, query, app, signal) => {
            const page = await lists.load(list(query), query, signal);
            const now = performance.now();
            const speeds = new Map(page.items.map(row => [key(row), rates.update(key(row), row.message_stats, now)]));
            rates.keep(speeds.keys());
            return {page, speeds};
        },
        draw: ({page, speeds}, args, query, app) => [
            head(streams ? 'Streams' : 'Queues', app.speaksAmqp ? button(streams ? 'Declare a stream' : 'Declare a queue', () => declare(app, streams, query.vhost), 'primary') : app.noAmqp()),
            lists.draw({base, query, list: list(query), page, columns: columns(speeds, app.vhosts.length > 1, streams), key, what, vhosts: app.vhosts,
                        empty: `There are no ${what}.`}),
        ],
    };
}

export const queues = make('queues', false);
export const streams = make('streams', true);
