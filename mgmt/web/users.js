// Users; one of them with his permissions.
import {el} from './dom.js';
import {get, path, put, remove} from './api.js';
import {ask} from './dialog.js';
import * as lists from './list.js';
import {button, card, facts, head, href, link, tags} from './parts.js';
import {permissions} from './permissions.js';

const LIST = {at: path('users'), sort: 'name', columns: 'name,tags'};
const TAGS = 'Any of administrator, monitoring, policymaker, management, with commas between; without one the user can’t log in here.';

function wordsOf(user) {
    return Array.isArray(user?.tags) ? user.tags : String(user?.tags ?? '').split(',').filter(Boolean);
}

function set(app, old) {
    ask({
        title: old ? `Password and tags of ${old.name}` : 'Add a user', button: old ? 'Set' : 'Add', fields: [
            !old && {name: 'name', label: 'Name', required: true},
            {name: 'password', label: 'Password', type: 'password', hint: 'Left empty, nobody can log in as this user with a password.'},
            {name: 'tags', label: 'Tags', value: wordsOf(old).join(','), hint: TAGS},
        ].filter(Boolean),
        act: async ({name = old?.name, password, tags: words}) => {
            await put(path('users', name), {tags: words, ...(password && {password})});
            if (old)
                app.refresh();
            else
                location.hash = href('users', name);
            return old ? `${name} is changed.` : `${name} is a user now.`;
        },
    });
}

function drop(name) {
    ask({title: `Delete user ${name}?`, text: 'Connections of this user are closed.', button: 'Delete', danger: true,
         act: async () => {
             await remove(path('users', name));
             location.hash = '#/users';
             return `${name} is deleted.`;
         }});
}

export const users = {
    title: () => 'Users',
    load: (args, query, app, signal) => lists.load(LIST, query, signal),
    draw: (page, args, query, app) => [head('Users', button('Add a user', () => set(app), 'primary')),
        lists.draw({base: 'users', query, list: LIST, page, key: row => row.name, what: 'users', empty: 'There are none.', columns: [
            {title: 'Name', sort: 'name', main: true, cell: row => link(row.name, 'users', row.name)},
            {title: 'Tags', cell: row => el('span', {class: 'tags'}, tags(wordsOf(row)))}]})],
};

export const user = {
    title: args => args[0],
    load: async ([name], query, app, signal) => {
        const [one, rows] = await Promise.all([get(path('users', name), {signal}), get(path('users', name, 'permissions'), {signal})]);
        return {one, rows};
    },
    draw: ({one, rows}, args, query, app) => [
        head(one.name, button('Change', () => set(app, one)), button('Delete', () => drop(one.name), 'danger')),
        card('', facts([['Tags', wordsOf(one).length ? el('span', {class: 'tags'}, tags(wordsOf(one))) : 'none']])),
        permissions(app, rows, {user: one.name}),
    ],
};
