// The list of exchanges; declaring one.
import {el} from './dom.js';
import {exchangeWord, path, put} from './api.js';
import {ask} from './dialog.js';
import * as lists from './list.js';
import {button, exchangeName, head, href, link, settings, tags} from './parts.js';

export const title = () => 'Exchanges';

export function traits(exchange) {
    return [exchange.durable && 'durable', exchange.auto_delete && 'auto-delete', exchange.internal && 'internal'].filter(Boolean);
}

const list = query => ({at: query.vhost ? path('exchanges', query.vhost) : path('exchanges'), sort: 'name'});

export async function load(args, query, app, signal) {
    return lists.load(list(query), query, signal);
}

function columns(severalVhosts) {
    return [
        {title: 'Name', sort: 'name', main: true, cell: row => link(exchangeName(row.name), 'exchanges', row.vhost, exchangeWord(row.name))},
        severalVhosts && {title: 'Virtual host', sort: 'vhost', wide: true, cell: row => row.vhost},
        {title: 'Type', sort: 'type', cell: row => row.type}, {title: 'Traits', wide: true, cell: row => el('span', {class: 'tags'}, tags(traits(row)))},
        {title: 'Arguments', wide: true, cell: row => settings(row.arguments) || '–'},
    ].filter(Boolean);
}

function declare(app, vhost) {
    ask({
        title: 'Declare an exchange', button: 'Declare', fields: [
            {name: 'name', label: 'Name', required: true},
            {name: 'vhost', label: 'Virtual host', type: 'select', options: app.vhosts, value: vhost},
            {name: 'type', label: 'Type', type: 'select', options: ['direct', 'topic', 'fanout', 'headers']},
            {name: 'durable', label: 'Durable: it is there after a restart', type: 'checkbox', value: true},
            {name: 'auto_delete', label: 'Auto-delete: gone with its last binding', type: 'checkbox'},
            {name: 'internal', label: 'Internal: only exchanges publish to it', type: 'checkbox'},
            {name: 'arguments', label: 'Arguments', type: 'json', rows: 2, hint: 'JSON, such as {"alternate-exchange": "unrouted"}'},
        ],
        act: async ({vhost: where, name, ...body}) => {
            await put(path('exchanges', where, name), body);
            location.hash = href('exchanges', where, name);
            return `Exchange ${name} is declared.`;
        },
    });
}

export function draw(page, args, query, app) {
    return [head('Exchanges', app.speaksAmqp ? button('Declare an exchange', () => declare(app, query.vhost), 'primary') : app.noAmqp()),
            lists.draw({base: 'exchanges', query, list: list(query), page, columns: columns(app.vhosts.length > 1), key: row => JSON.stringify([row.vhost, row.name]),
                        what: 'exchanges', vhosts: app.vhosts, empty: 'There are no exchanges.'})];
}
