// Connections, one of them with its channels, and channels.
import {el} from './dom.js';
import {get, path, remove} from './api.js';
import {ask} from './dialog.js';
import {bytes, count, when} from './format.js';
import * as lists from './list.js';
import {button, card, facts, head, link, settings, table, yes} from './parts.js';
import {Rates} from './rates.js';

const LIST = {at: path('connections'), sort: 'name',
              columns: 'name,user,vhost,protocol,state,channels,ssl,peer_host,peer_port,user_provided_name,recv_oct,send_oct'};
const rates = new Rates();
const octets = ({recv_oct, send_oct}) => ({recv_oct, send_oct});

function speedsOf(rows) {
    const now = performance.now();
    const speeds = new Map(rows.map(row => [row.name, rates.update(row.name, octets(row), now)]));
    rates.keep(speeds.keys());
    return speeds;
}

function speed(value) {
    return typeof value === 'number' ? bytes(value) + '/s' : '–';
}

function columns(speeds) {
    return [
        {title: 'Name', sort: 'name', main: true, cell: row => [link(row.name, 'connections', row.name), row.user_provided_name ? el('div', {class: 'dim'}, row.user_provided_name) : null]},
        {title: 'User', sort: 'user', cell: row => row.user}, {title: 'Virtual host', sort: 'vhost', wide: true, cell: row => row.vhost},
        {title: 'Protocol', sort: 'protocol', cell: row => row.protocol}, {title: 'TLS', sort: 'ssl', wide: true, cell: row => yes(row.ssl)},
        {title: 'State', sort: 'state', wide: true, cell: row => row.state},
        {title: 'Channels', sort: 'channels', number: true, wide: true, cell: row => count(row.channels)},
        {title: 'In', sort: 'recv_oct', number: true, wide: true, cell: row => speed(speeds.get(row.name)?.recv_oct)},
        {title: 'Out', sort: 'send_oct', number: true, wide: true, cell: row => speed(speeds.get(row.name)?.send_oct)},
    ];
}

export const connections = {
    title: () => 'Connections',
    load: async (args, query, app, signal) => {
        const page = await lists.load(LIST, query, signal);
        return {page, speeds: speedsOf(page.items)};
    },
    draw: ({page, speeds}, args, query, app) => [head('Connections'), app.may('monitoring') ? null : el('p', {class: 'hint'}, 'Yours only: who may monitor sees all.'),
        lists.draw({base: 'connections', query, list: LIST, page, columns: columns(speeds), key: row => row.name, what: 'connections', empty: 'Nobody is connected.'})],
};

function close(name) {
    ask({title: 'Close the connection?', text: name, button: 'Close it', danger: true,
         fields: [{name: 'reason', label: 'Reason', value: 'Closed by an operator', hint: 'The client is told.'}],
         act: async ({reason}) => {
             if (!/^[\x20-\x7e]*$/.test(reason))
                 throw new Error('Reason: only ASCII goes through a browser.');
             await remove(path('connections', name), {headers: reason ? {'X-Reason': reason} : {}});
             location.hash = '#/connections';
             return 'The connection is closed.';
         }});
}

const CHANNEL_COLUMNS = [
    {title: 'User', sort: 'user', wide: true, cell: row => row.user}, {title: 'Virtual host', sort: 'vhost', wide: true, cell: row => row.vhost},
    {title: 'Consumers', sort: 'consumer_count', number: true, cell: row => count(row.consumer_count)},
    {title: 'Prefetch', sort: 'prefetch_count', number: true, wide: true, cell: row => count(row.prefetch_count)},
    {title: 'Unacked', sort: 'messages_unacknowledged', number: true, cell: row => count(row.messages_unacknowledged)},
    {title: 'Unconfirmed', sort: 'messages_unconfirmed', number: true, wide: true, cell: row => count(row.messages_unconfirmed)},
    {title: 'Mode', wide: true, cell: row => row.transactional ? 'transactions' : row.confirm ? 'confirms' : '–'},
];

// With several words in it: client_properties has tables of its own.
function clientFacts(properties) {
    return Object.entries(properties || {}).map(([name, value]) => [name.replaceAll('_', ' '), typeof value === 'object' ? settings(value) : String(value)]);
}

export const connection = {
    title: args => args[0],
    load: async ([name], query, app, signal) => {
        const [one, channels] = await Promise.all([get(path('connections', name), {signal}),
            get(path('connections', name, 'channels'), {query: {page: 1, page_size: 100, sort: 'number'}, signal})]);
        return {one, channels, speed: rates.update(name, octets(one), performance.now())};
    },
    draw: ({one, channels, speed: now}) => [
        head(one.name, button('Close', () => close(one.name), 'danger')),
        el('div', {class: 'grid two'},
            card('Connection', facts([['Client', one.user_provided_name], ['User', one.user], ['Virtual host', one.vhost], ['Protocol', one.protocol], ['TLS', yes(one.ssl)],
                ['State', one.state], ['From', `${one.peer_host}:${one.peer_port}`], ['To', `${one.host}:${one.port}`], ['Since', when(one.connected_at)],
                ['Heartbeat', one.timeout ? `${one.timeout} s` : 'none'], ['Frames up to', bytes(one.frame_max)],
                ['Received', `${bytes(one.recv_oct)}, ${speed(now.recv_oct)}`], ['Sent', `${bytes(one.send_oct)}, ${speed(now.send_oct)}`]])),
            card('What the client says', facts(clientFacts(one.client_properties)))),
        card(`Channels (${count(channels.total_count)})`, table([{title: 'Number', main: true, cell: row => String(row.number)}, ...CHANNEL_COLUMNS.slice(2)], channels.items,
            row => String(row.number), 'It has none open.')),
    ],
};

const CHANNELS = {at: path('channels'), sort: 'name'};

export const channels = {
    title: () => 'Channels',
    load: (args, query, app, signal) => lists.load(CHANNELS, query, signal),
    draw: (page, args, query) => [head('Channels'), lists.draw({base: 'channels', query, list: CHANNELS, page, key: row => row.name, what: 'channels', empty: 'No channel is open.',
        columns: [{title: 'Name', sort: 'name', main: true, cell: row => link(row.name, 'connections', row.connection_details.name)}, ...CHANNEL_COLUMNS]})],
};
