// Bindings: in a table, made, taken away.
import {exchangeWord, path, post, remove} from './api.js';
import {ask} from './dialog.js';
import {button, exchangeName, link, settings, table} from './parts.js';

const key = row => JSON.stringify([row.source, row.destination_type, row.destination, row.properties_key]);

function between(vhost, source, type, destination, ...more) {
    return path('bindings', vhost, 'e', exchangeWord(source), type === 'queue' ? 'q' : 'e', destination, ...more);
}

function unbind(app, vhost, row) {
    ask({title: 'Unbind?', text: `${row.destination_type} ${row.destination} gets no more messages by this binding from ${exchangeName(row.source)}.`, button: 'Unbind', danger: true,
         act: async () => {
             await remove(between(vhost, row.source, row.destination_type, row.destination, row.properties_key));
             app.refresh();
             return 'The binding is gone.';
         }});
}

function otherEnd(vhost, row, end) {
    if (end === 'source')
        return link(exchangeName(row.source), 'exchanges', vhost, exchangeWord(row.source));
    return [link(row.destination, row.destination_type === 'queue' ? 'queues' : 'exchanges', vhost, row.destination), row.destination_type === 'exchange' ? ' (exchange)' : ''];
}

// end: whose names are shown, 'source' or 'destination'.
export function bindingsTable(app, vhost, rows, end) {
    const columns = [
        {title: end === 'source' ? 'From' : 'To', main: true, cell: row => otherEnd(vhost, row, end)},
        {title: 'Routing key', cell: row => row.routing_key || '–'}, {title: 'Arguments', wide: true, cell: row => settings(row.arguments) || '–'},
        {title: '', acts: true, cell: row => app.speaksAmqp && row.source !== '' ? button('Unbind', () => unbind(app, vhost, row), 'small') : ''},
    ];
    return table(columns, rows, key, 'There are none.');
}

// ends: {queue}, {exchange} (a destination) or {source}, what is known already.
export function bind(app, vhost, ends) {
    const known = ends.source ?? ends.queue ?? ends.exchange;
    ask({
        title: ends.source !== undefined ? `Bind to ${exchangeName(known)}` : `Bind ${known}`, button: 'Bind', fields: [
            ends.source === undefined && {name: 'source', label: 'From exchange', required: true},
            ends.source !== undefined && {name: 'type', label: 'To a', type: 'select', options: ['queue', 'exchange']},
            ends.source !== undefined && {name: 'destination', label: 'Its name', required: true},
            {name: 'key', label: 'Routing key'},
            {name: 'arguments', label: 'Arguments', type: 'json', rows: 2, hint: 'JSON: what a headers exchange looks at, such as {"x-match": "all", "tenant": "a"}'},
        ].filter(Boolean),
        act: async values => {
            const type = values.type ?? (ends.queue !== undefined ? 'queue' : 'exchange');
            await post(between(vhost, ends.source ?? values.source, type, values.destination ?? known), {routing_key: values.key, arguments: values.arguments});
            app.refresh();
            return 'Bound.';
        },
    });
}
