// Virtual hosts; one of them with who may use it.
import {el} from './dom.js';
import {get, path, put, remove} from './api.js';
import {ask} from './dialog.js';
import * as lists from './list.js';
import {button, card, facts, head, href, link, tags} from './parts.js';
import {permissions} from './permissions.js';

const LIST = {at: path('vhosts'), sort: 'name', columns: 'name,description,tags'};

function add(app) {
    ask({title: 'Add a virtual host', button: 'Add', fields: [{name: 'name', label: 'Name', required: true}, {name: 'description', label: 'Description'},
                                                              {name: 'tags', label: 'Tags', hint: 'with commas between'}],
         act: async ({name, ...body}) => {
             await put(path('vhosts', name), body);
             await app.readVhosts();
             location.hash = href('vhosts', name);
             return `Virtual host ${name} is there.`;
         }});
}

function drop(app, name) {
    ask({title: `Delete virtual host ${name}?`, text: 'All its queues go, with their messages, its exchanges and its permissions. That can’t be taken back.', button: 'Delete', danger: true,
         act: async () => {
             await remove(path('vhosts', name));
             await app.readVhosts();
             location.hash = '#/vhosts';
             return `Virtual host ${name} is deleted.`;
         }});
}

export const vhosts = {
    title: () => 'Virtual hosts',
    load: (args, query, app, signal) => lists.load(LIST, query, signal),
    draw: (page, args, query, app) => [head('Virtual hosts', app.may('administrator') ? button('Add a virtual host', () => add(app), 'primary') : null),
        lists.draw({base: 'vhosts', query, list: LIST, page, key: row => row.name, what: 'virtual hosts', empty: 'There are none that you may use.', columns: [
            {title: 'Name', sort: 'name', main: true, cell: row => app.may('administrator') ? link(row.name, 'vhosts', row.name) : row.name},
            {title: 'Description', wide: true, cell: row => row.description || '–'}, {title: 'Tags', wide: true, cell: row => el('span', {class: 'tags'}, tags(row.tags || []))},
            {title: 'In it', cell: row => [el('a', {href: href('queues') + '?vhost=' + encodeURIComponent(row.name)}, 'queues'), ', ',
                                           el('a', {href: href('exchanges') + '?vhost=' + encodeURIComponent(row.name)}, 'exchanges')]}]})],
};

export const vhost = {
    title: args => args[0],
    load: async ([name], query, app, signal) => {
        const [one, rows] = await Promise.all([get(path('vhosts', name), {signal}), get(path('vhosts', name, 'permissions'), {signal})]);
        return {one, rows};
    },
    draw: ({one, rows}, args, query, app) => [
        head(one.name, button('Delete', () => drop(app, one.name), 'danger')),
        card('', facts([['Description', one.description], ['Tags', (one.tags || []).length ? el('span', {class: 'tags'}, tags(one.tags)) : 'none']])),
        permissions(app, rows, {vhost: one.name}),
    ],
};
