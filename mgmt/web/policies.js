// Policies, and operators' policies.
import {el} from './dom.js';
import {get, path, put, remove} from './api.js';
import {ask} from './dialog.js';
import {button, card, head, settings, table} from './parts.js';

export const title = () => 'Policies';

export async function load(args, query, app, signal) {
    const [own, operators] = await Promise.all([get(path('policies'), {signal}), get(path('operator-policies'), {signal})]);
    return {own, operators};
}

const KINDS = {'policies': 'policy', 'operator-policies': 'operator policy'};

function set(app, kind, old) {
    ask({
        title: old ? `The ${KINDS[kind]} ${old.name}` : `Add ${kind === 'policies' ? 'a policy' : 'an operator policy'}`, button: old ? 'Set' : 'Add', fields: [
            !old && {name: 'name', label: 'Name', required: true},
            !old && {name: 'vhost', label: 'Virtual host', type: 'select', options: app.vhosts},
            {name: 'pattern', label: 'Pattern', required: true, value: old?.pattern, hint: 'PCRE2, of names: ^orders\\. fits all that begin so.'},
            {name: 'to', label: 'Applies to', type: 'select', options: kind === 'policies' ? ['all', 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges']
                : ['queues', 'classic_queues', 'quorum_queues', 'streams'], value: old?.['apply-to']},
            {name: 'priority', label: 'Priority', type: 'number', value: old?.priority ?? 0, hint: 'Of those that fit, the highest counts.'},
            {name: 'definition', label: 'Definition', type: 'json', value: old ? JSON.stringify(old.definition, null, 1) : '', hint: 'JSON, such as {"max-length": 1000, "message-ttl": 60000}'},
        ].filter(Boolean),
        act: async values => {
            const {pattern, to, priority, definition} = values, vhost = old?.vhost ?? values.vhost, name = old?.name ?? values.name;
            await put(path(kind, vhost, name), {pattern, definition, priority, 'apply-to': to});
            app.refresh();
            return `The ${KINDS[kind]} ${name} is set.`;
        },
    });
}

function drop(app, kind, row) {
    ask({title: `Delete the ${KINDS[kind]} ${row.name}?`, text: 'What it said counts no more, at once.', button: 'Delete', danger: true,
         act: async () => {
             await remove(path(kind, row.vhost, row.name));
             app.refresh();
             return `The ${KINDS[kind]} ${row.name} is deleted.`;
         }});
}

function list(app, kind, rows, mayChange) {
    const columns = [
        {title: 'Name', main: true, cell: row => row.name}, {title: 'Virtual host', wide: true, cell: row => row.vhost}, {title: 'Pattern', cell: row => el('code', {}, row.pattern)},
        {title: 'Applies to', wide: true, cell: row => row['apply-to']}, {title: 'Priority', number: true, wide: true, cell: row => String(row.priority)},
        {title: 'Definition', cell: row => settings(row.definition)},
        mayChange && {title: '', acts: true, cell: row => el('span', {class: 'actions'}, button('Change', () => set(app, kind, row), 'small'), button('Delete', () => drop(app, kind, row), 'small'))},
    ].filter(Boolean);
    return table(columns, rows, row => JSON.stringify([row.vhost, row.name]), 'There are none.');
}

export function draw({own, operators}, args, query, app) {
    const sets = app.may('policymaker'), rules = app.may('administrator');
    return [
        head('Policies', sets ? button('Add a policy', () => set(app, 'policies'), 'primary') : null, rules ? button('Add an operator policy', () => set(app, 'operator-policies')) : null),
        card('Policies', list(app, 'policies', own, sets)),
        card('Operator policies', el('p', {class: 'hint'}, 'They bound what the others and the queues’ own arguments say.'), list(app, 'operator-policies', operators, rules)),
    ];
}
