// Who may do what in which virtual host.
import {el} from './dom.js';
import {path, put, remove} from './api.js';
import {ask} from './dialog.js';
import {button, card, link, table} from './parts.js';

const HINT = 'A pattern (PCRE2) of names; .* is all of them, and nothing is none.';

// known: {user} or {vhost}; old: the permission that is changed.
function set(app, known, old) {
    ask({
        title: old ? `Permissions of ${old.user} in ${old.vhost}` : 'Set permissions', button: 'Set', fields: [
            known.vhost === undefined && !old && {name: 'vhost', label: 'Virtual host', type: 'select', options: app.vhosts},
            known.user === undefined && !old && {name: 'user', label: 'User', required: true},
            {name: 'configure', label: 'Configure', value: old ? old.configure : '.*', hint: HINT}, {name: 'write', label: 'Write', value: old ? old.write : '.*'},
            {name: 'read', label: 'Read', value: old ? old.read : '.*'},
        ].filter(Boolean),
        act: async values => {
            const {configure, write, read} = values;
            const all = {...values, ...known, ...(old && {user: old.user, vhost: old.vhost})};
            await put(path('permissions', all.vhost, all.user), {configure, write, read});
            app.refresh();
            return `${all.user} has these permissions in ${all.vhost} now.`;
        },
    });
}

function clear(app, row) {
    ask({title: 'Take the permissions away?', text: `${row.user} may do nothing in virtual host ${row.vhost} afterwards; what is open there is closed.`, button: 'Take away', danger: true,
         act: async () => {
             await remove(path('permissions', row.vhost, row.user));
             app.refresh();
             return `${row.user} has no permissions in ${row.vhost} any more.`;
         }});
}

export function permissions(app, rows, known) {
    const columns = [
        known.user === undefined && {title: 'User', main: true, cell: row => link(row.user, 'users', row.user)},
        known.vhost === undefined && {title: 'Virtual host', main: true, cell: row => link(row.vhost, 'vhosts', row.vhost)},
        ...['configure', 'write', 'read'].map(name => ({title: name[0].toUpperCase() + name.slice(1), cell: row => el('code', {}, row[name] || '—')})),
        {title: '', acts: true, cell: row => el('span', {class: 'actions'}, button('Change', () => set(app, known, row), 'small'), button('Take away', () => clear(app, row), 'small'))},
    ].filter(Boolean);
    return card('Permissions', table(columns, rows, row => JSON.stringify([row.user, row.vhost]), 'There are none.'),
        el('div', {class: 'buttons'}, button('Set permissions', () => set(app, known))));
}
