// One exchange, with its bindings drawn.
import {el} from './dom.js';
import {get, path, remove} from './api.js';
import {bind, bindingsTable} from './bindings.js';
import {ask} from './dialog.js';
import {traits} from './exchanges.js';
import {count} from './format.js';
import * as graph from './graph.js';
import {publish} from './messages.js';
import {button, card, exchangeName, facts, head, settings, tags} from './parts.js';

const SHOWN = 100, DRAWN = 24;

const nameOf = args => args[1] === 'amq.default' ? '' : args[1];

export const title = args => exchangeName(nameOf(args));

export async function load([vhost, word], query, app, signal) {
    const page = {query: {page: 1, page_size: SHOWN}, signal};
    const [exchange, from, to] = await Promise.all([get(path('exchanges', vhost, word), {signal}),
        get(path('exchanges', vhost, word, 'bindings', 'source'), page), get(path('exchanges', vhost, word, 'bindings', 'destination'), page)]);
    return {exchange, from, to};
}

function drop(exchange) {
    ask({title: `Delete ${exchange.name}?`, text: 'It goes with its bindings; what is published to it afterwards is refused.', button: 'Delete', danger: true,
         fields: [{name: 'unused', label: 'Only if nothing is bound to it', type: 'checkbox'}],
         act: async ({unused}) => {
             await remove(path('exchanges', exchange.vhost, exchange.name), {query: {'if-unused': unused ? 'true' : ''}});
             location.hash = '#/exchanges';
             return `${exchange.name} is deleted.`;
         }});
}

function actions(app, exchange) {
    if (!app.speaksAmqp)
        return app.noAmqp();
    const own = exchange.name !== '' && !exchange.name.startsWith('amq.');
    return [exchange.internal ? null : button('Publish', () => publish(app, exchange.vhost, exchange.name, ''), 'primary'),
            exchange.name === '' ? null : button('Bind', () => bind(app, exchange.vhost, {source: exchange.name})),
            own ? button('Delete', () => drop(exchange), 'danger') : null];
}

function picture({exchange, from, to}) {
    const targets = graph.ends(from.items, row => row.destination, row => row.destination_type);
    const sources = graph.ends(to.items, row => row.source, () => 'exchange');
    const width = Math.min(Math.max(document.getElementById('main').clientWidth - 74, 250), 1000);
    const left = from.total_count > SHOWN || targets.length > DRAWN || sources.length > DRAWN;
    if (!targets.length && !sources.length)
        return el('p', {class: 'empty'}, 'Nothing is bound to it.');
    return [graph.draw(exchange.vhost, exchange.name, sources.slice(0, DRAWN), targets.slice(0, DRAWN), width),
            left ? el('p', {class: 'hint'}, `The first ${DRAWN} of each side are drawn.`) : null];
}

export function draw(data, args, query, app) {
    const {exchange, from, to} = data;
    return [
        head(exchangeName(exchange.name), actions(app, exchange)),
        card('', facts([['Virtual host', exchange.vhost], ['Type', exchange.type], ['Traits', el('span', {class: 'tags'}, tags(traits(exchange)))],
                        ['Arguments', settings(exchange.arguments)], ['Policy', exchange.policy]])),
        card('Where messages go', picture(data)),
        card(`Bindings from it (${count(from.total_count)})`, bindingsTable(app, exchange.vhost, from.items, 'destination')),
        to.total_count ? card(`Bindings to it (${count(to.total_count)})`, bindingsTable(app, exchange.vhost, to.items, 'source')) : null,
    ];
}
