// One queue, or stream.
import {el} from './dom.js';
import {get, path, remove} from './api.js';
import {bind, bindingsTable} from './bindings.js';
import {ask} from './dialog.js';
import {bytes, count, rate} from './format.js';
import {getMessages, publish} from './messages.js';
import {button, card, facts, head, link, settings, table, tags, yes} from './parts.js';
import {key, traits} from './queues.js';
import {Rates} from './rates.js';

const SHOWN = 100; // bindings, consumers
const rates = new Rates();

export const title = args => args[1];

export async function load([vhost, name], query, app, signal) {
    const [queue, bindings, consumers] = await Promise.all([get(path('queues', vhost, name), {signal}),
        get(path('queues', vhost, name, 'bindings'), {query: {page: 1, page_size: SHOWN}, signal}),
        get(path('consumers', vhost), {query: {queue: name, page: 1, page_size: SHOWN}, signal})]);
    const speed = rates.update(key(queue), queue.message_stats, performance.now());
    return {queue, bindings, consumers, speed};
}

function purge(app, queue) {
    ask({title: `Purge ${queue.name}?`, text: `Its ${count(queue.messages_ready)} ready messages are dropped. That can’t be taken back.`, button: 'Purge', danger: true,
         act: async () => {
             await remove(path('queues', queue.vhost, queue.name, 'contents'));
             app.refresh();
             return `${queue.name} is purged.`;
         }});
}

function drop(app, queue) {
    ask({title: `Delete ${queue.name}?`, text: `It goes with its ${count(queue.messages)} messages and its bindings. That can’t be taken back.`, button: 'Delete', danger: true,
         fields: [{name: 'empty', label: 'Only if it is empty', type: 'checkbox'}, {name: 'unused', label: 'Only if it has no consumers', type: 'checkbox'}],
         act: async ({empty, unused}) => {
             await remove(path('queues', queue.vhost, queue.name), {query: {'if-empty': empty ? 'true' : '', 'if-unused': unused ? 'true' : ''}});
             location.hash = queue.type === 'stream' ? '#/streams' : '#/queues';
             return `${queue.name} is deleted.`;
         }});
}

function actions(app, queue) {
    if (!app.speaksAmqp)
        return app.noAmqp();
    const stream = queue.type === 'stream';
    return [button('Publish', () => publish(app, queue.vhost, '', queue.name), 'primary'), !stream && button('Get messages', () => getMessages(app, queue)),
            button('Bind', () => bind(app, queue.vhost, {queue: queue.name})), !stream && button('Purge', () => purge(app, queue), 'danger'),
            button('Delete', () => drop(app, queue), 'danger')];
}

function numbers(queue, speed) {
    const tile = (label, value) => el('div', {class: 'tile'}, el('span', {class: 'label'}, label), el('span', {class: 'value'}, value));
    return el('div', {class: 'tiles', id: 'tiles'}, tile('Ready', count(queue.messages_ready)), tile('Unacked', count(queue.messages_unacknowledged)),
        tile('Bytes', bytes(queue.message_bytes)), tile('Consumers', count(queue.consumers)), tile('In', rate(speed.publish)), tile('Out', rate(speed.deliver_get)));
}

function consumersTable(consumers) {
    const columns = [
        {title: 'Tag', main: true, cell: row => row.consumer_tag},
        {title: 'Connection', cell: row => row.channel_details?.connection_name ? link(row.channel_details.connection_name, 'connections', row.channel_details.connection_name) : '–'},
        {title: 'Acknowledges', wide: true, cell: row => yes(row.ack_required)}, {title: 'Exclusive', wide: true, cell: row => yes(row.exclusive)},
        {title: 'Prefetch', number: true, cell: row => count(row.prefetch_count)},
    ];
    return table(columns, consumers.items, row => JSON.stringify([row.channel_details?.name, row.consumer_tag]), 'Nobody consumes from it.');
}

export function draw({queue, bindings, consumers, speed}, args, query, app) {
    return [
        head(queue.name, actions(app, queue)), numbers(queue, speed),
        el('div', {class: 'grid two'},
            card('About', facts([['Virtual host', queue.vhost], ['Type', queue.type], ['Traits', traits(queue).length ? el('span', {class: 'tags'}, tags(traits(queue))) : null],
                ['Arguments', settings(queue.arguments)], ['Policy', queue.policy ? link(queue.policy, 'policies') : null], ['Operator policy', queue.operator_policy], ['State', queue.state],
                ['Published to it', count(queue.message_stats?.publish)], ['Delivered', count(queue.message_stats?.deliver_get)], ['Acknowledged', count(queue.message_stats?.ack)]])),
            card(`Consumers (${count(consumers.total_count)})`, consumersTable(consumers))),
        card(`Bindings (${count(bindings.total_count)})`, bindingsTable(app, queue.vhost, bindings.items, 'source')),
    ];
}
